"""What a column of a Parquet file takes in memory, told from the headers of its pages before any is unpacked.

The metadata at the end of the file say too, but a damaged or hostile file may say one thing there and do another, and
they do not say what repeated values of a dictionary become.
"""

from typing import Any, BinaryIO

from nnmass.errors import DataError

_HEADER_BYTES = (2**8, 2**20)  # read first, and at most
_MOST_EMPTY_PAGES = 100
_MOST_FIELDS = 10_000
_DICTIONARY, _DATA_V2 = 2, 3  # PageType of parquet.thrift; 0: DATA_PAGE
_DICTIONARY_CODED = (2, 8)  # Encoding: PLAIN_DICTIONARY, RLE_DICTIONARY
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12
_VARINTS = (4, 5, 6)  # I16, I32, I64


def unpacked_bytes(stream: BinaryIO, column: Any, *, fixed: int | None = None) -> int:
    """At most so many bytes a column chunk takes when it is read.

    Args:
        stream: the Parquet file.
        column: its `pyarrow.parquet.ColumnChunkMetaData`.
        fixed: bytes of a value, where all have one size.

    Raises:
        DataError: page headers that cannot be read, or that say other numbers than the metadata.
    """
    start = column.data_page_offset
    if column.has_dictionary_page and column.dictionary_page_offset:
        start = min(start, column.dictionary_page_offset)
    position, end = start, start + column.total_compressed_size
    largest_value = total = values = empty = 0
    while values < column.num_values:
        if not 0 <= position < end:
            raise DataError(f"the pages of column {column.path_in_schema} end too soon")
        header, length = _page_header(stream, position)
        packed, unpacked = header["packed"], header["unpacked"]
        empty += header["values"] == 0
        if min(packed, unpacked, header["values"]) < 0 or empty > _MOST_EMPTY_PAGES:
            raise DataError(f"the pages of column {column.path_in_schema} have impossible sizes")
        total += unpacked
        if header["type"] == _DICTIONARY:
            largest_value = unpacked if fixed is None else fixed
        else:
            values += header["values"]
            if header["encoding"] in _DICTIONARY_CODED:
                total += header["values"] * largest_value
        position += length + packed
    return total + 8 * values


def _page_header(stream: BinaryIO, position: int) -> tuple[dict[str, int], int]:
    """What the header of a page says, and its length."""
    for size in _HEADER_BYTES:
        stream.seek(position)
        try:
            return _Reader(stream.read(size)).page_header()
        except (IndexError, RecursionError):
            continue
    raise DataError("a page header is damaged")


class _Reader:
    """The compact protocol of Thrift, as far as page headers go."""

    def __init__(self, content: bytes) -> None:
        self.content, self.position, self.fields = content, 0, 0

    def page_header(self) -> tuple[dict[str, int], int]:
        """Type, sizes, number of values and encoding of a page; and the length of its header."""
        found = self._struct()
        data = found.get(5) or found.get(8) or found.get(7) or {}
        values = {
            "type": found.get(1, -1),
            "unpacked": found.get(2, -1),
            "packed": found.get(3, -1),
            "values": data.get(1, 0) if isinstance(data, dict) else -1,
            "encoding": (data.get(4 if found.get(1) == _DATA_V2 else 2, 0)) if isinstance(data, dict) else 0,
        }
        if not all(isinstance(value, int) for value in values.values()):
            raise DataError("a page header is damaged")
        return values, self.position

    def _byte(self) -> int:
        self.position += 1
        return self.content[self.position - 1]

    def _varint(self) -> int:
        result = shift = 0
        while True:
            byte = self._byte()
            result |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80 or shift > 70:
                return result

    def _zigzag(self) -> int:
        number = self._varint()
        return (number >> 1) ^ -(number & 1)

    def _struct(self) -> dict[int, Any]:
        found: dict[int, Any] = {}
        field = 0
        while True:
            head = self._byte()
            if head == 0:
                return found
            self.fields += 1
            if self.fields > _MOST_FIELDS:
                raise DataError("a page header is damaged")
            field = field + (head >> 4) if head >> 4 else self._zigzag()
            kind = head & 0x0F
            found[field] = kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind)

    def _value(self, kind: int) -> Any:
        if kind in _VARINTS:
            return self._zigzag()
        if kind == _STRUCT:
            return self._struct()
        if kind == _BINARY:
            length = self._varint()  # which moves the position itself
            self.position += length
            return None
        if kind in (_TRUE, _FALSE, _BYTE):
            return self._byte()
        if kind == _DOUBLE:
            self.position += 8
            return None
        raise DataError("a page header is damaged")  # lists, sets and maps: no page header has any
