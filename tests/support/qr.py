"""Read the QR codes that ``views.qr`` draws, as a camera would: ISO/IEC 18004, level M, bytes, a clean lens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product

BORDER = 4
LEVEL_M = 0b00
FORMAT_MASK = 0b10101  # its first five bits: level and mask

# By version: data codewords of each block, and the centres of the alignment patterns.
BLOCKS: dict[int, list[int]] = {
    1: [16],
    2: [28],
    3: [44],
    4: [32] * 2,
    5: [43] * 2,
    6: [27] * 4,
    7: [31] * 4,
    8: [38] * 2 + [39] * 2,
    9: [36] * 3 + [37] * 2,
    10: [43] * 4 + [44],
    11: [50] + [51] * 4,
    12: [36] * 6 + [37] * 2,
}
CENTRES: dict[int, list[int]] = {
    1: [],
    2: [6, 18],
    3: [6, 22],
    4: [6, 26],
    5: [6, 30],
    6: [6, 34],
    7: [6, 22, 38],
    8: [6, 24, 42],
    9: [6, 26, 46],
    10: [6, 28, 50],
    11: [6, 30, 54],
    12: [6, 32, 58],
}
MASKS = (
    lambda row, column: (row + column) % 2,
    lambda row, column: row % 2,
    lambda row, column: column % 3,
    lambda row, column: (row + column) % 3,
    lambda row, column: (row // 2 + column // 3) % 2,
    lambda row, column: row * column % 2 + row * column % 3,
    lambda row, column: (row * column % 2 + row * column % 3) % 2,
    lambda row, column: ((row + column) % 2 + row * column % 3) % 2,
)

Cell = tuple[int, int]


def read(svg: str) -> str:
    """The text in the first QR code of ``svg``."""
    size = int(re.search(r'viewBox="0 0 (\d+) ', svg)[1]) - 2 * BORDER  # type: ignore[index]
    dark = {*_dark(re.search(r'stroke="#000" d="([^"]+)"', svg)[1])}  # type: ignore[index]
    version = (size - 17) // 4
    head = _number([(8, column) in dark for column in range(5)]) ^ FORMAT_MASK
    assert head >> 3 == LEVEL_M
    mask = MASKS[head & 0b111]
    taken = {*_taken(size, version)}
    bits = [(cell in dark) != (mask(*cell) == 0) for cell in _path(size) if cell not in taken]
    words = [_number(bits[place : place + 8]) for place in range(0, len(bits) - 7, 8)]
    return _text(_straightened(words, BLOCKS[version]), counted=8 if version < 10 else 16)


def _dark(path: str) -> Iterator[Cell]:
    """The dark cells of lines one cell wide, as (row, column)."""
    x = y = 0.0
    for command, first, second in re.findall(r"([Mmh])(-?[\d.]+)(?:[ ,]?(-?[\d.]+))?", path):
        if command == "h":
            yield from ((int(y) - BORDER, column - BORDER) for column in range(int(x), int(x + float(first))))
            x += float(first)
        elif command == "M":
            x, y = float(first), float(second)
        else:
            x, y = x + float(first), y + float(second)


def _taken(size: int, version: int) -> Iterator[Cell]:
    """The cells that hold no data: finders with the format beside them, timing, alignment and version."""
    for row, column in product(range(size), repeat=2):
        near, far = range(9), range(size - 8, size)
        in_finder = (
            (row in near and column in near) or (row in near and column in far) or (row in far and column in near)
        )
        if in_finder or 6 in (row, column):
            yield row, column
    centres = CENTRES[version]
    corners = {(6, 6), (6, size - 7), (size - 7, 6)}
    for row, column in {*product(centres, repeat=2)} - corners:
        yield from product(range(row - 2, row + 3), range(column - 2, column + 3))
    if version >= 7:
        for one, other in product(range(6), range(size - 11, size - 8)):
            yield from ((one, other), (other, one))


def _path(size: int) -> Iterator[Cell]:
    """Two columns at a time from the right, up and down in turns; the column of the timing is passed over."""
    upwards = True
    for right in [*range(size - 1, 6, -2), *range(5, 0, -2)]:
        rows = range(size - 1, -1, -1) if upwards else range(size)
        yield from ((row, column) for row in rows for column in (right, right - 1))
        upwards = not upwards


def _straightened(words: list[int], lengths: list[int]) -> list[int]:
    """The data codewords block by block: they are written one of each block in turns, shorter blocks first."""
    blocks: list[list[int]] = [[] for _ in lengths]
    following = iter(words)
    for place in range(max(lengths)):
        for block, length in zip(blocks, lengths, strict=True):
            if place < length:
                block.append(next(following))
    return [word for block in blocks for word in block]


def _text(words: list[int], counted: int) -> str:
    """``counted``: bits of the number of characters."""
    bits = "".join(f"{word:08b}" for word in words)
    assert bits[:4] == "0100", "bytes"
    length = int(bits[4 : 4 + counted], 2)
    start = 4 + counted
    return bytes(int(bits[place : place + 8], 2) for place in range(start, start + 8 * length, 8)).decode()


def _number(bits: list[bool]) -> int:
    return int("".join("1" if bit else "0" for bit in bits), 2)
