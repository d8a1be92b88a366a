"""Random damage to files: to their bytes, their values in JSON, the objects of HDF5 files, and the members of archives."""

import json
import warnings
import zipfile

import h5py
import numpy as np

__all__ = [
    "NOTES",
    "damaged_bytes",
    "damaged_hdf5",
    "damaged_json",
    "damaged_values",
    "damaged_zip",
    "hostile_value",
    "replaced_file",
]

LONG = "x" * 5000
#: What the latest damage to values was, for messages.
NOTES: list[str] = []


def hostile_value(dice):
    """Return a value of JSON that nobody expects."""
    kind = dice.pick("constant", "number", "text", "list", "nested", "object")
    if kind == "constant":
        return dice.pick(None, True, False)
    if kind == "number":
        return dice.pick(
            0, -1, 1, 2, 3, 0.5, -0.5, 10**6, 10**9, 10**30, 2**63, -(2**63), 1e308, 1e-320, float("nan"), float("inf")
        )
    if kind == "text":
        return dice.pick(
            "", "x", "relu", "Lambda", "os.system", "a/b", "../x", "\0", "\ud83d\ude00", LONG, "{", "1", "nan"
        )
    if kind == "list":
        return dice.pick(
            [], [[]], [1], [-1, 3], [None], [1, 2, 3, 4, 5], ["x"], [float("nan")], [10**9, 10**9], [1] * 1000
        )
    if kind == "nested":
        value = []
        for _ in range(dice.pick(3, 50, 400)):
            value = [value]
        return value
    return dice.pick(
        {}, {"class_name": "Lambda", "config": {}}, {"class_name": "__tuple__", "items": [1]}, {"class_name": 3, "config": 4},
        {"class_name": "function", "module": "os", "config": "getcwd"}, {"class_name": "__lambda__", "config": {"value": "x"}},
    )  # fmt: skip


def _places(tree, path=()):
    found = [path] if path else []
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ():
        found += _places(value, (*path, key))
    return found


def damaged_values(tree, dice):
    """Return parsed JSON with a value removed, doubled, changed, replaced by another one of it, or by a hostile one."""
    tree = json.loads(json.dumps(tree))
    if places := _places(tree):
        *parents, key = places[dice.whole(0, len(places) - 1)]
        home = tree
        for part in parents:
            home = home[part]
        old = home[key]
        action = dice.pick("hostile", "hostile", "remove", "double", "number", "other", "add")
        if action == "remove":
            del home[key]
        elif action == "double" and isinstance(home, list):
            home.insert(key, json.loads(json.dumps(old)))
        elif action == "number" and isinstance(old, int | float) and not isinstance(old, bool):
            home[key] = dice.pick(old + 1, old - 1, old * 2, -old, old + 0.5, str(old))
        elif action == "other":
            other = tree
            for part in places[dice.whole(0, len(places) - 1)]:
                other = other[part]
            home[key] = json.loads(json.dumps(other))
        elif action == "add" and isinstance(home, dict):
            home[dice.pick("extra", "name", "dtype", "module", "trainable", "axis", "units", "shape")] = hostile_value(
                dice
            )
        else:
            home[key] = hostile_value(dice)
        NOTES[:] = [f"{[*parents, key]} {action}: {str(old)[:200]} -> {json.dumps(home)[:400]}"]
    return tree


def damaged_json(text, dice):
    """Return JSON text with damaged values."""
    return json.dumps(damaged_values(json.loads(text), dice)).encode("utf-8", "surrogatepass")


def damaged_bytes(data, dice):
    """Return bytes of which some are flipped, removed, added, copied or set."""
    data = bytearray(data)
    for _ in range(dice.pick(1, 1, 1, 2, 5)):
        n = len(data)
        if n == 0:
            break
        at, size = dice.whole(0, n - 1), dice.pick(1, 2, 4, 8, 64, 512)
        action = dice.pick("flip", "flip", "flip", "set", "cut", "end", "insert", "copy", "add")
        if action == "flip":
            data[at] ^= 1 << dice.whole(0, 7)
        elif action == "set":
            data[at : at + size] = bytes([dice.pick(0, 255, 127, 128)]) * len(data[at : at + size])
        elif action == "cut":
            del data[at : at + size]
        elif action == "end":
            del data[at:]
        elif action == "insert":
            data[at:at] = bytes(size)
        elif action == "copy":
            other = dice.whole(0, n - 1)
            part = data[other : other + size]
            data[at : at + len(part)] = part
        else:
            data += bytes([dice.pick(0, 65)]) * size
    return bytes(data)


def damaged_zip(path, dice, parts):
    """
    Change the members of an archive.

    Parameters
    ----------
    path : Path
    dice : Dice
    parts : dict of str to function
        Name of a member -> function (its bytes, dice) that damages what is in it.
    """
    with zipfile.ZipFile(path) as archive:
        members = [(info, archive.read(info)) for info in archive.infolist()]
    action = dice.pick("inside", "inside", "inside", "remove", "double", "rename", "method", "empty", "swap")
    k = dice.whole(0, len(members) - 1)
    info, data = members[k]
    if action == "inside":
        k = dice.pick(*[n for n, (entry, _) in enumerate(members) if entry.filename in parts])
        info, data = members[k]
        members[k] = (info, parts[info.filename](data, dice))
    elif action == "remove":
        del members[k]
    elif action == "double":
        members.append((info, dice.pick(data, data[: len(data) // 2])))
    elif action == "rename":
        members[k] = (dice.pick("x", "../x", "config.json", "/tmp/x", info.filename.upper()), data)
    elif action == "empty":
        members[k] = (info, b"")
    elif action == "swap":
        members = [(info, other) for (info, _), (_, other) in zip(members, members[::-1], strict=True)]
    method = dice.pick(zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA) if action == "method" else zipfile.ZIP_DEFLATED
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w") as archive:
        warnings.simplefilter("ignore")
        for member, data in members:
            archive.writestr(member if isinstance(member, str) else member.filename, data, method)


def replaced_file(path, action):
    """Remove a file, and put something else into its place: nothing, no content, a folder, or a link."""
    path.unlink()
    if action == "empty":
        path.touch()
    elif action == "folder":
        path.mkdir()
    elif action == "link":
        path.symlink_to("/nowhere")


def damaged_hdf5(path, dice):
    """Change one to three objects or attributes of an HDF5 file."""
    with h5py.File(path, "a") as file:
        for _ in range(dice.pick(1, 1, 2, 3)):
            names = []
            file.visit(names.append)
            if not names:
                return
            name = names[dice.whole(0, len(names) - 1)]
            found = file[name]
            if dice.chance(4) and len(found.attrs):
                _damage_attribute(found.attrs, dice)
            elif isinstance(found, h5py.Dataset) and not dice.chance(4):
                _damage_array(file, name, found, dice)
            else:
                _damage_place(file, name, names, dice)


def _damage_attribute(attributes, dice):
    key = sorted(attributes)[dice.whole(0, len(attributes) - 1)]
    old = attributes[key]
    action = dice.pick("remove", "value", "items")
    if action == "items" and np.ndim(old) == 1 and len(old):
        del attributes[key]
        attributes[key] = dice.pick(old[::-1], old[:-1], [*old, old[0]], [str(old[0]) + "x", *old[1:]])
    elif action == "remove":
        del attributes[key]
    else:
        attributes[key] = dice.pick(
            0, -1.5, "", "x", b"\xff\xfe", [1, 2, 3], np.zeros((2, 2)), h5py.Empty("f4"), ["a", "b"], LONG, [b"\xff"]
        )


def _damage_array(file, name, found, dice):
    value = found[()] if found.dtype.kind in "fiu" and found.shape is not None else np.zeros(3, "f4")
    action = dice.pick("shape", "type", "values", "fill", "scalar", "empty", "compound")
    del file[name]
    if action == "shape":
        value = dice.pick(value[..., None], value.reshape(-1), value.T, value[..., :-1] if value.ndim else value)
    elif action == "type":
        value = dice.pick(
            value.astype("i4"), value.astype("f8"), value.astype("f2"), value.astype(">f4"), value.astype("?")
        )
    elif action == "values" and value.size and value.ndim:
        value = value.copy()
        value.reshape(-1)[dice.whole(0, value.size - 1)] = dice.pick(np.nan, np.inf, 1e38, -0.0)
    elif action == "fill":
        file.create_dataset(name, dice.pick((10**9,), (10**5, 10**5), value.shape), "f4", chunks=True)
        return
    elif action == "scalar":
        value = 1.5
    elif action == "empty":
        value = h5py.Empty("f4")
    elif action == "compound":
        value = np.zeros(3, [("a", "f4"), ("b", "i4")])
    file[name] = value


def _damage_place(file, name, names, dice):
    action = dice.pick("remove", "move", "soft", "external", "hard", "group", "loop")
    if action == "move":
        if "elsewhere" not in file:
            file.move(name, "elsewhere")
        return
    if action == "loop":
        if isinstance(file[name], h5py.Group) and "loop" not in file[name]:
            file[name]["loop"] = file["/"]
        return
    del file[name]
    if action == "soft":
        file[name] = h5py.SoftLink(dice.pick("/", "/nowhere", f"/{names[0]}"))
    elif action == "external":
        file[name] = h5py.ExternalLink("other.h5", "/")
    elif action == "hard" and names[0] in file and isinstance(file[names[0]], h5py.Group):
        file[name] = file[names[0]]
    elif action == "group":
        file.create_group(name)
