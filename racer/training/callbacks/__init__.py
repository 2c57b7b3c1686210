"""The callbacks of a training, in Stable-Baselines3's style, and those that a caller may add."""

from racer.training.callbacks.user import (
    Callback,
    Evaluation,
    EvaluationCallback,
    sorted_callbacks,
)

__all__ = ["Callback", "Evaluation", "EvaluationCallback", "sorted_callbacks"]
