"""Which files of a folder are GRIB or netCDF: what a file is, its first bytes say, whatever its name.

Rules name these files as their inputs, so this module is read by every start of Snakemake: it imports neither torch
nor xarray.
"""

from pathlib import Path

#: how many bytes tell the kind of a file: the mark of a tar archive stands at byte 257, that of HDF5 may at 2048
HEAD_BYTES = 2056
#: before a GRIB message there may be a heading of the WMO's telecommunication system, some tens of bytes
_HEADING_BYTES = 128
_CLASSIC = (b"CDF\x01", b"CDF\x02", b"CDF\x05")  # classic netCDF, with 64-bit offsets, with 64-bit data
_HDF5 = b"\x89HDF\r\n\x1a\n"
#: first bytes -> what the file is, and what to do with it. Formats of data that are not read, and containers
_OTHERS = (
    (b"PK\x03\x04", "a zip archive", "unpack it (unzip) and give the files in it"),
    (b"PK\x05\x06", "an empty zip archive", "download it again"),
    (b"\x1f\x8b", "compressed by gzip", "unpack it (gunzip; tar -xzf if it is a tar archive)"),
    (b"BZh", "compressed by bzip2", "unpack it (bunzip2; tar -xjf if it is a tar archive)"),
    (b"\xfd7zXZ\x00", "compressed by xz", "unpack it (unxz; tar -xJf if it is a tar archive)"),
    (b"\x28\xb5\x2f\xfd", "compressed by Zstandard", "unpack it (unzstd)"),
    (b"\x1f\x9d", "compressed by compress", "unpack it (uncompress)"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it and give the files in it"),
    (b"BUFR", "BUFR, which holds observations", "give GRIB or netCDF"),
    (b"\x0e\x03\x13\x01", "HDF4", "convert it to netCDF"),
    (b"<", "a web page or XML", "see what it says: a download may have failed"),
    (b"{", "JSON", "give GRIB or netCDF"),
)
_TAR = ("a tar archive", "unpack it (tar -xf) and give the files in it")


def kind_of(path) -> tuple[str, str]:
    """What a file is, by its first bytes, and what to do with it where it cannot be read.

    Returns
    -------
    kind : str
        ``GRIB`` or ``netCDF``, which are read, or words for anything else, as "a zip archive".
    advice : str
        Empty for GRIB and netCDF.

    Raises
    ------
    OSError
        If the file cannot be opened.
    """
    path = Path(path)
    if path.is_dir():
        return "a folder", "give the files in it"
    with open(path, "rb") as file:
        head = file.read(HEAD_BYTES)
    if not head:
        return "empty", "download it again"
    if head[257:262] == b"ustar":  # before all others: what is in the archive follows at byte 512
        return _TAR
    if _is_grib(head):
        return "GRIB", ""
    if head[:4] in _CLASSIC or any(head[at:].startswith(_HDF5) for at in (0, 512, 1024, 2048)):
        return "netCDF", ""
    for mark, kind, advice in _OTHERS:
        if head.lstrip().startswith(mark) if mark in (b"<", b"{") else head.startswith(mark):
            return kind, advice
    return "neither GRIB nor netCDF", "give GRIB (1 or 2) or netCDF"


def _is_grib(head: bytes) -> bool:
    """Whether a GRIB message starts here: the word, three bytes, and the number of the edition, which no text has."""
    at = head[:_HEADING_BYTES].find(b"GRIB")
    return at >= 0 and head[at + 7 : at + 8] in (b"\x00", b"\x01", b"\x02", b"\x03")


def sorted_out(settings: dict) -> tuple[list[str], list[str]]:
    """The files of the folder `archive.path` that are read, and a line about each that is not.

    Parameters
    ----------
    settings : dict
        The configuration's section `archive`; `path` is the folder. Only what lies directly in it counts, and nothing
        whose name starts with a dot.

    Returns
    -------
    files : list of str
        Paths of the GRIB and netCDF files, in the order of their names.
    left_out : list of str
        As "left out: era5.zip, a zip archive; unpack it (unzip) and give the files in it".

    Raises
    ------
    ValueError
        If there is no such folder, or a file of it cannot be opened.
    """
    folder = Path(settings["path"])
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "is not there"
        raise ValueError(f"{folder}: {what} (archive.path); name the folder of the GRIB and netCDF files")
    files, left_out = [], []
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        try:
            kind, advice = kind_of(path)
        except OSError as error:
            raise ValueError(f"{path}: cannot be opened ({error.strerror or error}); remove or mend it") from error
        if advice:
            left_out.append(f"left out: {path.name}, {kind}; {advice}")
        else:
            files.append(str(path))
    return files, left_out
