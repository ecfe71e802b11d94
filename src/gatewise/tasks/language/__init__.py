"""Language models: which token comes next, how probable a text is, and texts that are written."""

from gatewise.tasks.language.dynamic import Dynamic
from gatewise.tasks.language.evaluation import TextEvaluation
from gatewise.tasks.language.model import LanguageModel

__all__ = ["Dynamic", "LanguageModel", "TextEvaluation"]
