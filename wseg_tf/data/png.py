"""PNG files: whether one is whole, and how it stores its numbers.

Pillow leaves out a checksum, a missing row or the depth that was stored; what
an image says of itself is told here from its chunks.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

START = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
_CRITICAL = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
_FILTERS = bytes(range(5))
# First column and row, and steps, of the seven passes of an interlaced image.
_PASSES = (
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4),
    (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2),
)  # fmt: skip


class DamageError(ValueError):
    """A PNG that is not whole; the message completes `Found: `."""


@dataclass(frozen=True)
class Header:
    """What a PNG says of its pixels.

    Args:
        width: Width, pixels.
        height: Height, pixels.
        depth: Bits a channel, 1 to 16.
        channels: Numbers a pixel, 1 to 4.
        interlaced: Whether its rows come in seven passes.
    """

    width: int
    height: int
    depth: int
    channels: int
    interlaced: bool

    def rows(self) -> Iterator[tuple[int, int]]:
        """Yields how many rows follow each other, and the bytes of each."""
        bits = self.depth * self.channels
        if not self.interlaced:
            yield self.height, 1 + (self.width * bits + 7) // 8
            return
        for left, top, across, down in _PASSES:
            columns = -(-(self.width - left) // across)
            rows = -(-(self.height - top) // down)
            if columns > 0 and rows > 0:
                yield rows, 1 + (columns * bits + 7) // 8


@dataclass(frozen=True)
class Contents:
    """The chunks that matter, checksums compared.

    Args:
        header: The header.
        pixels: The compressed rows.
        late_exif: EXIF data behind the pixels, where most readers stop.
    """

    header: Header
    pixels: bytes
    late_exif: bytes


def read_chunks(encoded: bytes) -> Contents:
    """Walks over the chunks to the end.

    Args:
        encoded: A PNG.

    Raises:
        DamageError: If a chunk was altered or the end is missing.
    """
    place, kind = len(START), b""
    header, late_exif = None, b""
    pixels: list[memoryview] = []
    whole = memoryview(encoded)
    while kind != b"IEND":
        length = int.from_bytes(encoded[place : place + 4], "big")
        kind = encoded[place + 4 : place + 8]
        end = place + 8 + length
        if end + 4 > len(encoded):
            raise DamageError("no end")
        checksum = int.from_bytes(encoded[end : end + 4], "big")
        if zlib.crc32(whole[place + 4 : end]) != checksum:
            raise DamageError(f"damage after byte {place}")
        content = whole[place + 8 : end]
        # Decoders must not pass over what they do not know in capitals.
        if not kind.isalpha() or (kind[:1].isupper() and kind not in _CRITICAL):
            raise DamageError(f"an unknown part {kind!r}")
        if kind == b"IHDR" and header is None:
            header = _header(bytes(content))
        elif kind == b"IDAT":
            pixels.append(content)
        elif kind == b"eXIf" and pixels:
            late_exif = bytes(content)
        place = end + 4
    if header is None:
        raise DamageError("no header")
    return Contents(header, b"".join(pixels), late_exif)


def check_rows(contents: Contents) -> None:
    """Unpacks the rows: each is there, and none but them.

    Memory is what the header says, whatever the compressed rows hold.

    Args:
        contents: What `read_chunks` returned.

    Raises:
        DamageError: If rows are damaged, missing or too many.
    """
    parts = list(contents.header.rows())
    expected = sum(rows * size for rows, size in parts)
    stream = zlib.decompressobj()
    try:
        unpacked = stream.decompress(contents.pixels, expected + 1)
        if len(unpacked) == expected and not stream.eof:
            # The end and the checksum may not have been asked for.
            unpacked += stream.decompress(stream.unconsumed_tail, 1)
    except zlib.error as error:
        raise DamageError(f"damaged pixels ({error})") from None
    if len(unpacked) != expected or not stream.eof:
        less = "fewer" if len(unpacked) <= expected else "more"
        raise DamageError(f"{less} pixels than its size")
    start = 0
    for rows, size in parts:
        filters = unpacked[start : start + rows * size : size]
        if filters.strip(_FILTERS):
            raise DamageError("damaged pixels (unknown filter)")
        start += rows * size


def _header(content: bytes) -> Header:
    if (
        len(content) != 13
        or content[9] not in _CHANNELS
        or content[8] not in (1, 2, 4, 8, 16)
        or any(content[10:12])
        or content[12] > 1
    ):
        raise DamageError("a damaged header")
    return Header(
        width=int.from_bytes(content[:4], "big"),
        height=int.from_bytes(content[4:8], "big"),
        depth=content[8],
        channels=_CHANNELS[content[9]],
        interlaced=content[12] == 1,
    )
