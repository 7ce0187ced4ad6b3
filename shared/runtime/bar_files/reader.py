"""The one reader of bars in files: recognises their layout, sorts, judges, and says what it took.

Called by research, by the folder vendor and by `kobe data`. It never guesses and never repairs:
what is ambiguous, contradicts itself or is too flawed stops with the first offending row.
"""

from pathlib import Path

from shared.runtime.bar_files.file_bars import FileBars, ReadOptions, accept_or_raise
from shared.runtime.bar_files.jump_check import check_jumps
from shared.runtime.bar_files.sources import find_sources, without_subsets
from shared.runtime.bar_files.streaming import StreamedBars, stream_panel

NO_OPTIONS = ReadOptions()


def read_files(path: Path, options: ReadOptions = NO_OPTIONS) -> FileBars:
    """The bars of a file, a zip or a folder, sorted, judged, on one basis.

    Raises UserError if something cannot be read in one way alone, or is too flawed to be trusted.
    """
    sources = without_subsets(find_sources(path))
    if len(sources.tables) == 1 and not options.symbols and not options.splits:
        streamed = stream_panel(sources.tables[0])
        if streamed:
            return _stream_answer(path.name, streamed, options)
    # Imported when needed: Arrow's compute functions take memory and time of their own.
    from shared.runtime.bar_files.table_reader import read_tables

    return read_tables(path.name, sources, options)


def _stream_answer(label: str, bars: StreamedBars, options: ReadOptions) -> FileBars:
    checked = check_jumps(label, bars.panel, options.basis or bars.layout.basis)
    objections = accept_or_raise(checked.objection, options)
    return FileBars(
        label,
        bars.panel.symbols,
        (bars.layout.name,),
        bars.panel,
        checked.basis,
        bars.refused,
        bars.refusals,
        checked.jumps,
        (),
        checked.is_guessed,
        objections,
    )
