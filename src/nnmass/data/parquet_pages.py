"""What a column of a Parquet file takes in memory, told from the headers of its pages before any is unpacked.

The metadata at the end of the file say so too, but a damaged or hostile file may say one thing there and do another.
"""

from typing import Any, BinaryIO, NamedTuple

from nnmass.errors import DataError

_HEADER_BYTES = (2**8, 2**20)  # read first, and at most
_MOST_PAGES_WITHOUT_VALUES = 100
_BYTES_PER_VALUE = 8  # a number, or where a text ends
_MOST_FIELDS = 10_000
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12
_VARINTS = (4, 5, 6)  # I16, I32, I64


def unpacked_bytes(stream: BinaryIO, column: Any) -> int:
    """At most so many bytes a column chunk takes when it is read, texts and bytes of a dictionary once.

    Args:
        stream: the Parquet file.
        column: its `pyarrow.parquet.ColumnChunkMetaData`.

    Raises:
        DataError: page headers that cannot be read, or that say other numbers than the metadata.
    """
    position = column.data_page_offset
    if column.has_dictionary_page and column.dictionary_page_offset:
        position = min(position, column.dictionary_page_offset)
    end = position + column.total_compressed_size
    total = values = without = 0
    while values < column.num_values:
        if not 0 <= position < end:
            raise DataError(f"the pages of column {column.path_in_schema} end too soon")
        page, length = _page_header(stream, position)
        without += page.values == 0
        if min(page) < 0 or without > _MOST_PAGES_WITHOUT_VALUES:
            raise DataError(f"the pages of column {column.path_in_schema} have impossible sizes")
        total += page.unpacked
        values += page.values
        position += length + page.packed
    return total + _BYTES_PER_VALUE * values


class _Page(NamedTuple):
    """What the header of a page says: bytes, and values that are no entries of a dictionary."""

    unpacked: int
    packed: int
    values: int


def _page_header(stream: BinaryIO, position: int) -> tuple[_Page, int]:
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

    def page_header(self) -> tuple[_Page, int]:
        """What a header says, and its length."""
        found = self._struct()
        data = found.get(5, found.get(8, {}))  # of a page of values, in the first or second version
        page = found.get(2), found.get(3), data.get(1, 0) if isinstance(data, dict) else None
        if not all(type(number) is int for number in page):
            raise DataError("a page header is damaged")
        return _Page(*page), self.position  # type: ignore[arg-type]

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
