"""Reads named tensors out of the files people keep weights in, and writes safetensors.

Only the standard library is used, so that weights can be fetched where no torch is
installed (a slim container, a libtorch without Python); HDF5 alone asks for h5py.
Nothing is read before it is asked for: a full VGG19 carries 0.5 GB nobody wants here.
"""
import collections
import hashlib
import json
import math
import os
import pickle
import re
import shutil
import zipfile
from array import array
from typing import Callable, NamedTuple


class Bad(Exception):
    """What is wrong with a file and how to mend it, in one line."""


class Tensor(NamedTuple):
    dtype: str  # as safetensors names it: F32, U8, ...
    shape: tuple
    read: Callable[[], bytes]  # little-endian, rows last


def head_of(path):
    """The first nine bytes of a file, which tell its kind."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise Bad(f"{path}: is no file")  # a pipe would be waited for
    try:
        with open(path, "rb") as file:
            return file.read(9)
    except OSError as error:
        raise Bad(f"{path}: cannot be read ({error.strerror})") from None


def open_tensors(path):
    """{name: Tensor} of a torch, safetensors or Keras HDF5 file, told apart by their first bytes."""
    head = head_of(path)
    readers = [(b"\x89HDF", _keras), (b"PK", _torch_zip), (b"\x80", _torch_legacy)]
    for magic, reader in readers:
        if head.startswith(magic):
            break
    else:
        if head[8:] != b"{":
            raise Bad(f"{path}: neither a torch, nor a safetensors, nor an HDF5 file; is the download complete?")
        reader = _safetensors
    try:
        tensors = reader(path)
    except Bad:
        raise
    except Exception as error:  # a broken pickle can raise anything at all
        raise Bad(f"{path}: damaged or cut short ({type(error).__name__}: {error}); fetch it again") from None
    if not isinstance(tensors, dict):
        raise Bad(f"{path}: holds a {type(tensors).__name__}, not a dict of tensors; save model.state_dict()")
    return {name: tensor for name, tensor in tensors.items() if isinstance(tensor, Tensor)}


_WIDTHS = {"F32": 4, "U8": 1}  # bytes a value


def read(tensors, name, shape, dtype="F32", *, network):
    """The values of a tensor that `network` has."""
    if name not in tensors:
        raise Bad(f"has no {name}; every layer of {network} is needed")
    tensor = tensors[name]
    if tensor.shape != shape:
        raise Bad(f"{name} is {list(tensor.shape)}, {network}'s is {list(shape)}; is it another network?")
    if tensor.dtype != dtype:
        raise Bad(f"{name} is {tensor.dtype}, not {dtype}; save it in that type")
    try:
        data = tensor.read()
    except Bad as error:
        raise Bad(f"{name}: {error}") from None
    except Exception as error:
        raise Bad(f"{name} cannot be read ({error}); the file is damaged, fetch it again") from None
    if len(data) != math.prod(shape) * _WIDTHS[dtype]:
        raise Bad(f"{name} is cut short; fetch the file again")
    return data


def check_finite(what, data):
    if not all(map(math.isfinite, array("f", data))):
        raise Bad(f"{what} holds NaN or infinite values; fetch the file again")


def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def encode(tensors, metadata):
    """The bytes of a safetensors file for {name: (shape, f32 bytes)}: the same bytes for the same input."""
    header, offset = {"__metadata__": metadata}, 0
    for name, (shape, data) in tensors.items():
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the data starts aligned
    return b"".join([len(text).to_bytes(8, "little"), text, *(data for _, data in tensors.values())])


def write_atomically(path, data):
    """A reader sees the whole file or none: it is renamed into place once it is on the disk."""
    folder = os.path.dirname(os.path.abspath(path))
    part = f"{path}.{os.getpid()}.part"
    try:
        os.makedirs(folder, exist_ok=True)
        if shutil.disk_usage(folder).free < len(data):
            raise Bad(f"{folder}: less than {len(data) / 1e6:.0f} MB free; make room, or choose another --out")
        with open(part, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        raise Bad(f"{path}: cannot be written ({error.strerror}); choose another --out") from None
    finally:
        if os.path.exists(part):
            os.unlink(part)


def write_new(path, data):
    """Writes a file atomically, but over no other."""
    if os.path.lexists(path):
        raise Bad(f"{path}: is there already; choose another --out, or remove it")
    write_atomically(path, data)


def _read_at(path, offset, length):
    with open(path, "rb") as file:
        file.seek(offset)
        return file.read(length)


def _safetensors(path):
    length = int.from_bytes(_read_at(path, 0, 8), "little")
    header = json.loads(_read_at(path, 8, length))
    header.pop("__metadata__", None)

    def tensor(dtype, shape, data_offsets):
        start, end = data_offsets
        return Tensor(dtype, tuple(shape), lambda: _read_at(path, 8 + length + start, end - start))

    return {name: tensor(**entry) for name, entry in header.items()}


def _keras(path):
    try:
        import h5py
    except ImportError:
        raise Bad(f"{path}: reading HDF5 takes h5py; run  pip install h5py  for the Python that runs this") from None
    tensors = {}

    def visit(name, dataset):
        # Keras has named the leaves in three ways over the years; rank and enclosing layer are constant.
        layer = re.search(r"block\d_conv\d", name)
        rank = len(getattr(dataset, "shape", ()))
        if layer and rank in (1, 4):
            order = (3, 2, 0, 1) if rank == 4 else (0,)  # rows, columns, in, out -> out, in, rows, columns
            shape = tuple(dataset.shape[axis] for axis in order)
            dtype = "F32" if dataset.dtype == "float32" else str(dataset.dtype)
            key = layer.group() + (".weight" if rank == 4 else ".bias")
            tensors[key] = Tensor(dtype, shape, lambda: read(name, order))

    def read(name, order):
        with h5py.File(path) as file:
            return file[name][()].transpose(order).tobytes()

    with h5py.File(path) as file:
        file.visititems(visit)
    return tensors


_STORAGES = {"FloatStorage": ("F32", 4), "DoubleStorage": ("F64", 8), "HalfStorage": ("F16", 2),
             "BFloat16Storage": ("BF16", 2), "ByteStorage": ("U8", 1), "LongStorage": ("I64", 8)}


class _Unpickler(pickle.Unpickler):
    """Knows the names that a state dict is made of and no other: a pickle may call whatever it can name."""

    def __init__(self, file, read):
        super().__init__(file, encoding="utf-8")
        self.read = read  # (key, offset, length) -> bytes of a storage
        self.widths = {}  # bytes a value, by storage

    def persistent_load(self, saved):
        _, (dtype, width), key = saved[:3]
        self.widths[key] = width
        return dtype, width, key

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        if module == "torch._utils" and name in ("_rebuild_tensor", "_rebuild_tensor_v2"):
            return self.rebuild
        if module == "torch._utils" and name == "_rebuild_parameter":
            return lambda tensor, *_: tensor
        raise Bad(f"holds a {module}.{name}, not tensors alone; save model.state_dict() and convert that")

    def rebuild(self, storage, offset, shape, strides, *_):
        dtype, width, key = storage
        count = math.prod(shape)

        def read():
            rows_last = tuple(math.prod(shape[axis + 1:]) for axis in range(len(shape)))
            if any(size > 1 and a != b for size, a, b in zip(shape, strides, rows_last)):
                raise Bad("its values are not in plain order; save it .contiguous()")
            return self.read(key, offset * width, count * width)

        return Tensor(dtype, tuple(shape), read)


def _torch_zip(path):
    with zipfile.ZipFile(path) as archive:
        pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise Bad(f"{path}: a zip, but not one that torch.save wrote; name the weights file itself")
        root = pickles[0][:-len("data.pkl")]

        def read(key, offset, length):
            with zipfile.ZipFile(path) as archive:
                return archive.read(f"{root}data/{key}")[offset:offset + length]

        with archive.open(pickles[0]) as file:
            return _Unpickler(file, read).load()


def _torch_legacy(path):
    """torch.save before 1.6: magic, version, platform, the object, its storages' keys, then each one's length and values."""
    starts = {}

    def read(key, offset, length):
        return _read_at(path, starts[key] + offset, length)

    with open(path, "rb") as file:
        if _Unpickler(file, read).load() != 0x1950A86A20F9469CFC6C:
            raise Bad(f"{path}: a pickle, but not one that torch.save wrote")
        for _ in ("version", "platform"):
            _Unpickler(file, read).load()
        unpickler = _Unpickler(file, read)
        tensors = unpickler.load()
        for key in _Unpickler(file, read).load():
            count = int.from_bytes(file.read(8), "little")
            starts[key] = file.tell()
            file.seek(count * unpickler.widths[key], os.SEEK_CUR)
    return tensors
