"""The fault types under the headings of their documentation."""

from mocks.faults import body as shared_body
from mocks.faults import connection, head, keep_alive
from mocks.faults.reference import Families
from mocks.vector.faults import FAULTS, acknowledgement, body, contents, errors, pace, ranking, scores, writes

FAMILIES: Families = {
    "Errors": (errors,),
    "Connections": (connection, acknowledgement, keep_alive),
    "Bodies": (shared_body, body),
    "Pace": (pace, head),
    "What is found": (ranking, scores),
    "What the points say": (contents,),
    "What was written": (writes,),
}
__all__ = ["FAMILIES", "FAULTS"]
