"""Read an HDF5 file in a process of its own, a program that imports little but h5py: ``hdf5_child.py options [path]``."""

# A damaged file can make the HDF5 library loop for ever or crash. Here it takes only this process with it.
import io
import json
import sys

from brainsnn.system.processes import limit_this_process

#: Filters that h5py has: deflate, shuffle, Fletcher32, LZF. Others may be code that HDF5 loads from a folder.
FILTERS = {1, 2, 3, 32000}
#: Texts that an array may hold.
MAX_TEXTS = 10**6


class Refused(Exception):
    """What the file holds is refused. The message says what."""


class Reader:
    """What was found in a file: a list of objects, and the arrays that are sent after it, each behind a header."""

    def __init__(self, max_bytes, skip, with_texts):
        self.max_bytes, self.skip, self.with_texts, self.n_bytes, self.seen = max_bytes, skip, with_texts, 0, set()
        self.found, self.arrays = [], []

    def walk(self, file):
        """List all groups and arrays below a file, but for those of a whole Keras model that are skipped."""
        import h5py

        pending = [("", file)]
        while pending:
            self.place, found = pending.pop()
            address = h5py.h5o.get_info(found.id).addr
            if address in self.seen:
                raise Refused(f"The file's {self.place!r} is a link to another place, which is not followed.")
            self.seen.add(address)
            entry = {"path": self.place, "attributes": {key: _texts(found.attrs[key]) for key in found.attrs}}
            self.found.append(entry)
            if isinstance(found, h5py.Dataset):
                self._add_array(found, entry)
                continue
            if not isinstance(found, h5py.Group):
                raise Refused(f"The file's {self.place!r} is neither a group nor an array.")
            is_whole_model = self.place == "" and {"model_weights", "layers"} & set(found)
            for name in reversed(list(found)):
                path = f"{self.place}/{name}" if self.place else name
                if not isinstance(found.get(name, getlink=True), h5py.HardLink):
                    raise Refused(f"The file's {path!r} is a link to another place, which is not followed.")
                if not (is_whole_model and name in self.skip):
                    pending.append((path, found[name]))

    def _add_array(self, found, entry):
        entry |= {"dtype": str(found.dtype), "shape": found.shape, "n_bytes": None}
        if found.is_virtual or found.external:
            raise Refused(f"The file's {self.place!r} keeps its values in another file, which is not read.")
        layout = found.id.get_create_plist()
        filters = [layout.get_filter(k)[0] for k in range(layout.get_nfilters())]
        # One that is used twice can make a few bytes gigabytes.
        if unlike := sorted({number for number in filters if number not in FILTERS or filters.count(number) > 1}):
            raise Refused(f"The file's {self.place!r} is compressed by the filters {unlike}, which are not read.")
        if self.with_texts and found.dtype.kind in "OS" and found.shape is not None:
            if found.size > MAX_TEXTS:
                raise Refused(f"The file's {self.place!r} holds {found.size} texts, above the limit of {MAX_TEXTS}.")
            entry["texts"] = _texts(found[()])
            return
        if found.dtype.kind not in "biufV" or found.dtype.names or found.dtype.subdtype or found.shape is None:
            return  # not numbers: its values are not read
        entry |= {"dtype": found.dtype.str, "n_bytes": found.size * found.dtype.itemsize}
        chunk = _product(found.chunks) * found.dtype.itemsize if found.chunks else 0
        self.n_bytes += max(entry["n_bytes"], chunk)
        self.arrays.append((self.place, found))

    def send(self, output):
        """Write the list, and then the values of each array."""
        if self.n_bytes > self.max_bytes:
            return _send(output, {"too_large": self.n_bytes})
        _send(output, {"found": self.found})
        for place, array in self.arrays:
            self.place = place
            value = array[()].tobytes()
            _send(output, {"path": place})
            output.write(value)


def _product(shape):
    size = 1
    for n in shape:
        size *= n
    return size


def _texts(value):
    """Return a text or the texts of an array in nested lists, or None for other values."""
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, list):
        items = [_texts(item) for item in value]
        return None if any(item is None for item in items) else items
    return _text(value)


def _text(value):
    value = value.decode("utf-8") if isinstance(value, bytes) else value
    return value if isinstance(value, str) else None


def _send(output, header):
    text = json.dumps(header).encode()
    output.write(len(text).to_bytes(8, "big") + text)


def main(options, path=None):
    """Read a file, or what comes from standard input, and write a header and the arrays to standard output."""
    output, reader = sys.stdout.buffer, Reader(options["max_bytes"], options["skip"], options["texts"])
    source = path or io.BytesIO(sys.stdin.buffer.read())
    import h5py

    limit_this_process(options["seconds"], options["n_bytes"])
    try:
        file = h5py.File(source, "r")
    except Exception as error:  # of many types
        return _send(output, {"unreadable": str(error)})
    try:
        reader.walk(file)
        reader.send(output)
    except Refused as error:
        _send(output, {"refused": str(error)})
    except Exception as error:  # the library raises many types
        _send(output, {"damaged": reader.place or "/", "because": f"{type(error).__name__}: {error}"})


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), *sys.argv[2:])
