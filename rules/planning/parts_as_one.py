"""Parts that are read together, known by their rows alone: by what one part with these rows would be known by.

The key of parts that are read together covers where one ends and the next begins, since the last bits of a sum of
floats can depend on it. A query of exact values cannot, so its result is also kept under the key of one part that has
these rows in this order: a file that is split, merged, or cut elsewhere within such a group runs nothing. To know that
key the rows are digested as one column each, which is done only where the key of the parts is not known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from cache.errors import ObjectError
from cache.keys import Content
from rules.config.machine import usable_cores

if TYPE_CHECKING:
    from rules.planning.input_parts import InputPart, Inputs


def content_as_one(inputs: Inputs, name: str, part: InputPart) -> Content | None:
    """Return the content that the rows of some parts of an input have as one part; None where they cannot be read.

    A digest is found out once while the store is open. Raises `UserError` if a source has changed meanwhile.
    """
    known, kinds = inputs.store.digests_as_one, {one: kind for one, (kind, _) in part.content.columns.items()}
    missing = [one for one, (_, digest) in part.content.columns.items() if digest not in known]
    if missing:
        found = _digests(inputs, name, part, missing)
        if found is None:
            return None
        known.update({part.content.columns[one][1]: digest for one, digest in found.items()})
    of_parts = {one: digest for one, (_, digest) in part.content.columns.items()}
    return Content(part.content.rows, {one: (kinds[one], known[digest]) for one, digest in of_parts.items()})


def _digests(inputs: Inputs, name: str, part: InputPart, columns: list[str]) -> dict[str, str] | None:
    from rules.formats import parquet_files
    from rules.formats.contract import IngestError

    constants = {one: values for one, values in part.constants.items() if one in columns}
    stored = [one for one in columns if one not in constants]
    try:
        found = {}
        if stored:
            found = parquet_files.column_digests(part.files, stored, inputs.schema(name), usable_cores())
        found |= parquet_files.partition_digests(part.files, constants) if constants else {}
        inputs.require_sound(name, [part])
    except (IngestError, OSError, ObjectError, pa.ArrowException):  # whoever reads the files next says what is wrong
        return None
    return found
