"""The tests of test_devices.py with the CUDA device: on a GPU, or without one thread by thread on the processor."""

import importlib.util

import pytest
from cuda_emulator import gpu_or_emulated
from test_devices import (  # noqa: F401  (collected here, with this file's device)
    feedback,
    models,
    test_attention_that_comes_and_goes_and_differs_between_images,
    test_divergence_of_what_is_not_recorded,
    test_drawn_spikes_follow_from_the_seed,
    test_own_model_with_units,
    test_plain_network_with_many_images_parameters_and_times,
    test_predictive_feedback,
    test_replayed_spikes_into_integrate_and_fire_neurons,
    test_residual_network,
    test_shipped_digits,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def device(tmp_path_factory):
    if importlib.util.find_spec("brian2cuda") is None:
        pytest.skip("needs brian2cuda, see make test-cuda")
    patch = pytest.MonkeyPatch()
    gpu_or_emulated(patch)
    # Emulated programs stay out of the user's cache.
    patch.setenv("BRAINSNN_CACHE", str(tmp_path_factory.mktemp("cache")))
    yield "cuda_standalone"
    patch.undo()
