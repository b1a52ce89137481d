"""The API's description, made from the feature declaration."""

from typing import Any

from app import features
from app.serving.inference import MAX_ROWS

Json = dict[str, Any]


def document(name: str, version: str) -> Json:
    """OpenAPI 3.1 of the server of one model version."""
    model = f"/v2/models/{name}"
    loan = {"$ref": "#/components/schemas/Loan"}
    probability = {"type": "number", "minimum": 0, "maximum": 1}
    scored: Json = {"model": {"const": name}, "version": {"const": version}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"Model {name}",
            "version": version,
            "description": "Probability that a loan goes bad.",
        },
        "paths": {
            "/predict": _post(
                "Score one loan, or a list of them.",
                {"oneOf": [loan, {"type": "array", "items": loan, "maxItems": MAX_ROWS}]},
                {
                    "oneOf": [
                        _object({**scored, "probability": probability}),
                        _object({**scored, "probabilities": _array(probability)}),
                    ]
                },
            ),
            f"{model}/infer": _post(
                "Score rows by the Open Inference Protocol v2: one tensor a feature.",
                _object({"inputs": _array(_tensor(list(features.NAMES)))}),
                _object(
                    {
                        "model_name": {"const": name},
                        "model_version": {"const": version},
                        "outputs": _array(_tensor(["probability"])),
                    }
                ),
            ),
            model: _get("Inputs and outputs of the model."),
            f"{model}/ready": _get("200 when the model may be asked.", unready=True),
            "/v2": _get("What this server is."),
            "/v2/health/live": _get("200 as long as the process runs."),
            "/v2/health/ready": _get("200 when the model may be asked.", unready=True),
            "/metrics": _get("Metrics in Prometheus' text format.", media="text/plain"),
        },
        "components": {"schemas": {"Loan": _loan(), "Error": _error()}},
    }


def _loan() -> Json:
    properties = {feature.name: _property(feature) for feature in features.FEATURES}
    return {**_object(properties), "additionalProperties": False}


def _property(feature: features.Feature) -> Json:
    if isinstance(feature, features.Category):
        return {"type": "string", "enum": list(feature.values)}
    kind = "integer" if feature.integer else "number"
    return {"type": kind, "minimum": feature.low, "maximum": feature.high}


def _error() -> Json:
    problem = {
        "code": {"type": "string"},
        "field": {"type": "string"},
        "row": {"type": "integer"},
        "expected": {"type": "string"},
    }
    return _object(
        {
            "error": {"type": "string"},
            "code": {"type": "string"},
            "problems": _array(_object(problem)),
            "requestId": {"type": "string"},
        }
    )


def _tensor(names: list[str]) -> Json:
    return _object(
        {
            "name": {"enum": names},
            "shape": _array({"type": "integer"}),
            "datatype": {"type": "string"},
            "data": _array({}),
        }
    )


def _object(properties: Json) -> Json:
    return {"type": "object", "required": list(properties), "properties": properties}


def _array(items: Json) -> Json:
    return {"type": "array", "items": items}


def _post(summary: str, request: Json, response: Json) -> Json:
    error = {"$ref": "#/components/schemas/Error"}
    failures = {
        "400": "Not JSON.",
        "408": "The body did not arrive in time.",
        "413": "Too large.",
        "415": "Compressed.",
        "422": "JSON, but not what is asked for; `problems` locate each fault.",
        "503": "Loading or overloaded; ask again after Retry-After seconds.",
    }
    return {
        "post": {
            "summary": summary,
            "requestBody": {"required": True, "content": {"application/json": {"schema": request}}},
            "responses": {
                "200": _response("Scored.", "application/json", response),
                **{
                    status: _response(text, "application/json", error)
                    for status, text in failures.items()
                },
            },
        }
    }


def _get(summary: str, media: str = "application/json", unready: bool = False) -> Json:
    schema = {"type": "string"} if media == "text/plain" else {"type": "object"}
    responses = {"200": _response("OK", media, schema)}
    if unready:
        responses["503"] = _response("Loading or draining.", media, schema)
    return {"get": {"summary": summary, "responses": responses}}


def _response(description: str, media: str, schema: Json) -> Json:
    return {"description": description, "content": {media: {"schema": schema}}}
