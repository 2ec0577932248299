import json

from tests.frontend.test_cli import pairlab, refused
from tests.live_stack import LiveStack, tiny_experiment


def test_extend_tells_the_cost_queues_the_next_look_and_adds_nothing_twice(stack: LiveStack, tiny: str) -> None:
    asked = tiny_experiment("extended", dataset=tiny, seeds=[77], looks=[2, 5], reference="random")
    experiment = stack.submit(asked)
    try:
        dry = pairlab(stack, "extend", experiment[:8], "--dry-run")
        assert dry.returncode == 0, dry.stderr
        assert dry.stdout.startswith("Adds seed 78, the look of 2 seeds: 3 jobs, ")
        assert stack.client.experiment(experiment)["seeds"] == [77]
        first = pairlab(stack, "extend", experiment[:8])
        assert f"Queued. Follow it: pairlab watch {experiment[:8]}" in first.stdout
        again = pairlab(stack, "extend", experiment[:8], "--to", "2", "--json")
        assert "Nothing to add: the experiment has 2 seeds already" in again.stderr
        assert json.loads(again.stdout)["seeds"] == [77, 78]
        assert "6 seeds are more than the last planned look has (5" in refused(stack, "extend", experiment, "--to", "6")
    finally:
        stack.client.cancel_experiment(experiment)
