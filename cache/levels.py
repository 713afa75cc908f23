"""Arrow arrays in normal form: what a column holds, whatever its physical layout.

A column is taken apart into `Level`s: one for itself, and one for every nested child, each in a form that does not
depend on batches, offsets, padding, encodings or on what is under a null.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Bytes: TypeAlias = npt.NDArray[np.uint8]
Ints: TypeAlias = npt.NDArray[np.int64]

_NO_BYTES: Bytes = np.zeros(0, np.uint8)
_WORDS = {1: "<u1", 2: "<u2", 4: "<u4", 8: "<u8"}


class UnsupportedTypeError(TypeError):
    """A column has a type that cannot be digested: unions, and what pyarrow itself cannot hold."""

    def __init__(self, dtype: pa.DataType, column: str | None = None) -> None:
        """Name the type, and the column once it is known."""
        super().__init__(f"cannot digest {f'column {column!r}' if column else 'a column'} of type {dtype}")
        self.dtype = dtype
        self.column = column


@dataclass(slots=True)
class Level:
    """One level of a column, in normal form. A level of no rows is bare: `Level(0)`.

    nulls: ascending row numbers, None for none. lengths: items of each row, 0 under nulls (bytes for strings and
    binary, rows of the one child for lists and maps). values: the bytes, `width` a row and zero under nulls, or the
    concatenated strings (width 0). children: the item level of a list, or the fields of a struct.
    """

    rows: int
    nulls: Ints | None = None
    lengths: Ints | None = None
    values: Bytes = field(default_factory=lambda: _NO_BYTES)
    width: int = 0
    children: tuple[Level, ...] = ()


def type_name(dtype: pa.DataType) -> str:
    """Spell a type, the same for all layouts of one logical type, and never the same for two logical types.

    Field names of structs count; names of list items, nullability and metadata do not. Extension types count as their
    storage: whether one is registered depends on what the process has imported. Raises UnsupportedTypeError.
    """
    if dtype.id not in _KINDS:
        raise UnsupportedTypeError(dtype)
    spelling, _ = _KINDS[dtype.id]
    return spelling.format(dtype) if isinstance(spelling, str) else spelling(dtype)


def level_of(array: pa.Array) -> Level:
    """Take an array apart into levels in normal form. Raises UnsupportedTypeError."""
    if array.type.id not in _KINDS:
        raise UnsupportedTypeError(array.type)
    _, build = _KINDS[array.type.id]
    return build(array) if len(array) else Level(0)


def gather(level: Level, indices: npt.NDArray[np.intp]) -> Level:
    """Return the given rows of a level, as `numpy.take` would."""
    if len(indices) == 0:
        return Level(0)
    rows = len(indices)
    nulls = None
    if level.nulls is not None:
        is_null = np.zeros(level.rows, np.bool_)
        is_null[level.nulls] = True
        nulls = np.flatnonzero(is_null[indices]) if is_null.any() else None
    if level.lengths is None:
        values = level.values
        if level.width:
            values = np.ascontiguousarray(_slots(values, level.width)[indices]).view(np.uint8).reshape(-1)
        return Level(rows, nulls, None, values, level.width, tuple(gather(child, indices) for child in level.children))
    lengths = level.lengths[indices]
    if level.children:
        starts = np.cumsum(level.lengths) - level.lengths
        return Level(rows, nulls, lengths, children=(gather(level.children[0], _spans(starts[indices], lengths)),))
    offsets = np.zeros(level.rows + 1, np.int64)
    np.cumsum(level.lengths, out=offsets[1:])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(level.values)]
    taken = pa.Array.from_buffers(pa.large_binary(), level.rows, buffers).take(pa.array(indices))
    return Level(rows, nulls, lengths, _bytes(taken.buffers()[2], 0, int(lengths.sum())))


def mask(level: Level, nulls: Ints | None) -> Level:
    """Make rows null: add them to the level's nulls, and drop or zero whatever is under them."""
    if nulls is None or len(nulls) == 0 or level.rows == 0:
        return level
    keep = np.ones(level.rows, np.bool_)
    keep[nulls] = False
    everywhere = nulls
    if level.nulls is not None:
        keep[level.nulls] = False
        everywhere = np.flatnonzero(~keep)
    if level.width:
        values = level.values.copy()
        _slots(values, level.width)[nulls] = 0
        return replace(level, nulls=everywhere, values=values)
    if level.lengths is None:
        return replace(level, nulls=everywhere, children=tuple(mask(child, nulls) for child in level.children))
    if not level.lengths[nulls].any():
        return replace(level, nulls=everywhere)
    kept = gather(level, np.flatnonzero(keep))
    lengths = np.where(keep, level.lengths, 0)
    children = kept.children or (Level(0),) * len(level.children)
    return Level(level.rows, everywhere, lengths, kept.values, children=children)


def _slots(values: Bytes, width: int) -> npt.NDArray[np.generic]:
    """View bytes as rows: one machine word each where the width allows, else a row of bytes."""
    return values.view(_WORDS[width]) if width in _WORDS else values.reshape(-1, width)


def _bytes(buffer: pa.Buffer, start: int, count: int) -> Bytes:
    return np.frombuffer(buffer, np.uint8, count, start) if count else _NO_BYTES


def _bits(buffer: pa.Buffer, start: int, count: int) -> Bytes:
    """Unpack bits into one byte each."""
    first, skip = divmod(start, 8)
    packed = np.frombuffer(buffer, np.uint8, (skip + count + 7) // 8, first)
    return np.unpackbits(packed, count=skip + count, bitorder="little")[skip:]


def _nulls(array: pa.Array, validity: pa.Buffer | None) -> Ints | None:
    if validity is None or array.null_count == 0:
        return None
    return np.flatnonzero(_bits(validity, array.offset, len(array)) == 0)


def _spans(starts: Ints, lengths: Ints) -> npt.NDArray[np.intp]:
    """Return the numbers start, start + 1, ... of every span, one span after the other."""
    ends = np.cumsum(lengths)
    return np.repeat(starts - (ends - lengths), lengths) + np.arange(ends[-1], dtype=np.int64)


def _fixed(array: pa.Array) -> Level:
    validity, data = array.buffers()
    width = array.type.byte_width
    level = Level(len(array), None, None, _bytes(data, array.offset * width, len(array) * width), width)
    return level if array.null_count == 0 else mask(level, _nulls(array, validity))


def _bool(array: pa.Array) -> Level:
    validity, data = array.buffers()
    level = Level(len(array), None, None, _bits(data, array.offset, len(array)), 1)
    return mask(level, _nulls(array, validity))


def _null(array: pa.Array) -> Level:
    return Level(len(array), np.arange(len(array), dtype=np.int64))


def _binary(array: pa.Array, offset_type: str = "<i4") -> Level:
    validity, offset_buffer, data = array.buffers()
    rows = len(array)
    offsets = np.frombuffer(offset_buffer, offset_type, rows + 1, array.offset * np.dtype(offset_type).itemsize)
    lengths = np.subtract(offsets[1:], offsets[:-1]).astype(np.int64, copy=False)
    first = int(offsets[0])
    level = Level(rows, None, lengths, _bytes(data, first, int(offsets[-1]) - first))
    return level if array.null_count == 0 else mask(level, _nulls(array, validity))


def _large_binary(array: pa.Array) -> Level:
    return _binary(array, "<i8")


def _view(array: pa.Array) -> Level:
    return _binary(array.cast(pa.large_binary()), "<i8")


def _list(array: pa.Array) -> Level:
    offsets = array.offsets.to_numpy().astype(np.int64, copy=False)
    return _items(array, offsets[:-1], np.diff(offsets))


def _list_view(array: pa.Array) -> Level:
    sizes = array.sizes.to_numpy().astype(np.int64, copy=False)
    return _items(array, array.offsets.to_numpy().astype(np.int64, copy=False), sizes)


def _fixed_size_list(array: pa.Array) -> Level:
    size = array.type.list_size
    starts = np.arange(array.offset, array.offset + len(array), dtype=np.int64) * size
    return _items(array, starts, np.full(len(array), size, np.int64))


def _items(array: pa.Array, starts: Ints, lengths: Ints) -> Level:
    """Build the level of any list from where its rows start among its values and how many items they have."""
    nulls = _nulls(array, array.buffers()[0])
    if nulls is not None:
        lengths = lengths.copy()
        lengths[nulls] = 0
    filled = np.flatnonzero(lengths)
    if len(filled) == 0:
        return Level(len(array), nulls, lengths, children=(Level(0),))
    starts, counts = starts[filled], lengths[filled]
    low, high = int(starts.min()), int((starts + counts).max())
    items = level_of(array.values.slice(low, high - low))
    if not np.array_equal(starts[1:], (starts + counts)[:-1]):
        items = gather(items, _spans(starts - low, counts))
    return Level(len(array), nulls, lengths, children=(items,))


def _struct(array: pa.Array) -> Level:
    fields = tuple(level_of(array.field(index)) for index in range(array.type.num_fields))
    return mask(Level(len(array), children=fields), _nulls(array, array.buffers()[0]))


def _dictionary(array: pa.Array) -> Level:
    try:
        return level_of(array.dictionary.take(array.indices))
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        # Views cannot be taken from, and 32-bit offsets can overflow: select after the decoding instead.
        if len(array.dictionary) == 0:
            return level_of(pa.nulls(len(array), array.type.value_type))
        indices = array.indices.fill_null(0).to_numpy().astype(np.intp)
        return mask(gather(level_of(array.dictionary), indices), _nulls(array, array.buffers()[0]))


def _run_end_encoded(array: pa.Array) -> Level:
    rows = np.arange(array.offset, array.offset + len(array))
    runs = np.searchsorted(array.run_ends.to_numpy(), rows, side="right")
    first = int(runs[0])
    return gather(level_of(array.values.slice(first, int(runs[-1]) + 1 - first)), runs - first)


def _extension(array: pa.Array) -> Level:
    return level_of(array.storage)


def _storage_name(dtype: pa.DataType) -> str:
    return type_name(dtype.storage_type)


def _value_name(dtype: pa.DataType) -> str:
    return type_name(dtype.value_type)


def _list_name(dtype: pa.DataType) -> str:
    return f"list<{type_name(dtype.value_type)}>"


def _fixed_size_list_name(dtype: pa.DataType) -> str:
    return f"list<{type_name(dtype.value_type)}, {dtype.list_size}>"


def _map_name(dtype: pa.DataType) -> str:
    return f"map<{type_name(dtype.key_type)}, {type_name(dtype.item_type)}>"


def _struct_name(dtype: pa.DataType) -> str:
    return f"struct<{', '.join(f'{json.dumps(f.name)}: {type_name(f.type)}' for f in dtype)}>"


def _timestamp_name(dtype: pa.DataType) -> str:
    return f"timestamp<{dtype.unit}>" if dtype.tz is None else f"timestamp<{dtype.unit}, {json.dumps(dtype.tz)}>"


_DECIMAL = "decimal{0.bit_width}<{0.precision}, {0.scale}>"
# Of every kind of type an example, its spelling (a format of the type, or a function), and what takes it apart.
_KINDS: dict[int, tuple[str | Callable[[pa.DataType], str], Callable[[pa.Array], Level]]] = {
    example.id: (spelling, build)
    for example, spelling, build in (
        (pa.null(), "null", _null),
        (pa.bool_(), "bool", _bool),
        (pa.int8(), "int8", _fixed),
        (pa.int16(), "int16", _fixed),
        (pa.int32(), "int32", _fixed),
        (pa.int64(), "int64", _fixed),
        (pa.uint8(), "uint8", _fixed),
        (pa.uint16(), "uint16", _fixed),
        (pa.uint32(), "uint32", _fixed),
        (pa.uint64(), "uint64", _fixed),
        (pa.float16(), "float16", _fixed),
        (pa.float32(), "float32", _fixed),
        (pa.float64(), "float64", _fixed),
        (pa.decimal32(1), _DECIMAL, _fixed),
        (pa.decimal64(1), _DECIMAL, _fixed),
        (pa.decimal128(1), _DECIMAL, _fixed),
        (pa.decimal256(1), _DECIMAL, _fixed),
        (pa.date32(), "date32", _fixed),
        (pa.date64(), "date64", _fixed),
        (pa.time32("s"), "time32<{0.unit}>", _fixed),
        (pa.time64("us"), "time64<{0.unit}>", _fixed),
        (pa.timestamp("us"), _timestamp_name, _fixed),
        (pa.duration("us"), "duration<{0.unit}>", _fixed),
        (pa.month_day_nano_interval(), "interval<month_day_nano>", _fixed),
        (pa.binary(1), "binary<{0.byte_width}>", _fixed),
        (pa.string(), "string", _binary),
        (pa.binary(), "binary", _binary),
        (pa.large_string(), "string", _large_binary),
        (pa.large_binary(), "binary", _large_binary),
        (pa.string_view(), "string", _view),
        (pa.binary_view(), "binary", _view),
        (pa.list_(pa.null()), _list_name, _list),
        (pa.large_list(pa.null()), _list_name, _list),
        (pa.list_view(pa.null()), _list_name, _list_view),
        (pa.large_list_view(pa.null()), _list_name, _list_view),
        (pa.list_(pa.null(), 1), _fixed_size_list_name, _fixed_size_list),
        (pa.map_(pa.string(), pa.null()), _map_name, _list),
        (pa.struct([]), _struct_name, _struct),
        (pa.dictionary(pa.int8(), pa.null()), _value_name, _dictionary),
        (pa.run_end_encoded(pa.int32(), pa.null()), _value_name, _run_end_encoded),
        (pa.uuid(), _storage_name, _extension),
    )
}
