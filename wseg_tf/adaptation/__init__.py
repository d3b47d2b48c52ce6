"""Self-training: a model learns a domain from its own surest predictions."""

from wseg_tf.adaptation.labelling import Summary, label_target
from wseg_tf.adaptation.objectives import UniformityLoss
from wseg_tf.adaptation.options import SelfTraining
from wseg_tf.adaptation.prediction import averaged_probabilities
from wseg_tf.adaptation.rounds import adapt, train_round
from wseg_tf.adaptation.target import check_domains

__all__ = [
    "SelfTraining",
    "Summary",
    "UniformityLoss",
    "adapt",
    "averaged_probabilities",
    "check_domains",
    "label_target",
    "train_round",
]
