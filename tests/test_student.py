"""A student of a larger teacher: what its experiment may leave out, and what it cannot ask for."""

import pytest

from configs import finetune, tiny
from tests.helpers.experiments import experiment_of
from tests.helpers.tiny_package import tiny_package
from vimogen_jax.errors import BadInput
from vimogen_jax.package import save_package

LESS = dict(reference_dim=0, num_layers=1, averages=True)


@pytest.fixture
def base(tmp_path):
    save_package(tmp_path / "base", tiny_package())
    return str(tmp_path / "base")


def test_a_student_may_have_less_than_its_teacher(base):
    student = experiment_of(finetune, init_from=base, finetune=dict(lora_rank=0), model=LESS)
    assert student.model.num_layers == 1 and not student.model.reference_dim
    assert student.model.averages and student.objective.prediction == "sample"


@pytest.mark.parametrize(
    "changes", [dict(model=LESS), dict(finetune=dict(lora_rank=0), model=dict(num_layers=3))]
)
def test_it_has_no_more_and_adapters_are_of_the_whole_base(base, changes):
    with pytest.raises(BadInput, match=r"^config\.model\.\w+ is \d, but that of"):
        experiment_of(finetune, init_from=base, **changes)


def test_averages_need_a_network_that_takes_them():
    with pytest.raises(BadInput, match=r"^config\.objective\.average is of a model with"):
        experiment_of(tiny, objective=dict(average=0.5))
