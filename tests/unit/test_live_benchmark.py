"""What the benchmark on a lab changes in its clone still has its place there."""

import json

from benchmarks.live import peers, stack
from infra.settings import parse
from tests.lab.clone import HERE


def test_the_server_has_the_one_place_that_the_faults_go_into() -> None:
    text = (HERE / "app/serving/inference.py").read_text()
    assert text.count(stack._SPOT) == 1
    for fault in stack._BREAKS.values():
        compile(text.replace(stack._SPOT, f"{fault}{stack._SPOT}"), "inference.py", "exec")


def test_the_stack_file_of_dev_becomes_one_with_a_canary_and_two_replicas() -> None:
    settings = (HERE / "Pulumi.dev.yaml").read_text().partition("  ferry:pins:")[0]
    model = parse(stack.measured(settings), stack="dev").model("credit-default")
    assert model.delivery.kind == "canary"
    assert model.delivery.steps == (10, 50)
    assert (model.scaling.minimum, model.scaling.maximum, model.road) == (2, 2, None)


def test_a_peers_pods_are_selected_by_its_service_and_tied_to_nothing_of_the_models() -> None:
    spec = {"serviceAccountName": "m", "serviceAccount": "m", "topologySpreadConstraints": [1]}
    pods = peers._labelled("x", peers._untied({"spec": {**spec, "containers": []}}))
    deployment, service, ingress = peers.objects("x", pods)
    assert pods["spec"] == {"containers": []}
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert labels == deployment["spec"]["selector"]["matchLabels"] == service["spec"]["selector"]
    assert "x.bench.ferry.test" in json.dumps(ingress)
