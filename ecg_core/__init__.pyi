from .classifier.model import Model as Model
from .classifier.model import load_model as load_model
from .errors import Cancelled as Cancelled
from .errors import EcgError as EcgError
from .errors import LeadError as LeadError
from .errors import MissingMetadataError as MissingMetadataError
from .errors import ModelError as ModelError
from .errors import OutputError as OutputError
from .errors import RecordError as RecordError
from .errors import RulesError as RulesError
from .evaluation.evaluate import evaluate_record as evaluate_record
from .pipeline import analyse as analyse
from .pipeline import with_labels as with_labels
from .pipeline import with_rules as with_rules
from .records import find_records as find_records
from .records import read_annotations as read_annotations
from .records import read_record as read_record
from .report.export import write_files as write_files
from .report.measures import Measure as Measure
from .report.measures import measures as measures
from .rules import RhythmRules as RhythmRules
from .schema import Analysis as Analysis
from .schema import Annotations as Annotations
from .schema import Beats as Beats
from .schema import Burden as Burden
from .schema import Record as Record
from .schema import RecordOverrides as RecordOverrides
from .schema import RhythmEvent as RhythmEvent

__version__: str
NOTICE: str
