"""The API's description, made from the feature declaration."""

from typing import Any

from app.schema import Category, Feature, Schema
from app.serving.inference import MAX_ROWS

Json = dict[str, Any]


def document(name: str, version: str, schema: Schema, key: str | None = None) -> Json:
    """OpenAPI 3.1 of the server of one model version; `key` where rows may be entity ids."""
    model = f"/v2/models/{name}"
    row: Json = {"$ref": "#/components/schemas/Row"}
    records = _array(row)
    if key is not None:
        row = {"anyOf": [row, _object({key: {"type": "integer"}})]}
    probability = {"type": "number", "minimum": 0, "maximum": 1}
    scored: Json = {"model": {"const": name}, "version": {"const": version}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"Model {name}",
            "version": version,
            "description": f"Probability that {schema.target} is {schema.positive}.",
        },
        "paths": {
            "/predict": _post(
                "Score one row, or a list of them.",
                {"oneOf": [row, {"type": "array", "items": row, "maxItems": MAX_ROWS}]},
                {
                    "oneOf": [
                        _object({**scored, "probability": probability}),
                        _object({**scored, "probabilities": _array(probability)}),
                    ]
                },
            ),
            f"{model}/infer": _post(
                "Score rows by the Open Inference Protocol v2: one tensor a feature.",
                _object({"inputs": _array(_tensor(list(schema.names)))}),
                _object(
                    {
                        "model_name": {"const": name},
                        "model_version": {"const": version},
                        "outputs": _array(_tensor(["probability"])),
                    }
                ),
            ),
            "/invocations": _post(
                "Score rows in one of the forms of MLflow's scoring server.",
                {
                    "oneOf": [
                        _object({"dataframe_split": _object({"columns": _array({}), "data": {}})}),
                        _object({"dataframe_records": records}),
                        _object({"instances": {"type": ["array", "object"]}}),
                        _object({"inputs": {"type": ["array", "object"]}}),
                    ]
                },
                _object({"predictions": _array(probability)}),
            ),
            model: _get("Inputs and outputs of the model."),
            f"{model}/ready": _get("200 when the model may be asked.", unready=True),
            "/v2": _get("What this server is."),
            "/v2/health/live": _get("200 as long as the process runs."),
            "/v2/health/ready": _get("200 when the model may be asked.", unready=True),
            "/ping": _get("As /v2/health/ready, for MLflow's clients.", unready=True),
            "/health": _get("As /v2/health/ready, for MLflow's clients.", unready=True),
            "/version": _get("Version of the model.", media="text/plain"),
            "/metrics": _get("Metrics in Prometheus' text format.", media="text/plain"),
        },
        "components": {"schemas": {"Row": _row(schema), "Error": _error()}},
    }


def _row(schema: Schema) -> Json:
    properties = {feature.name: _property(feature) for feature in schema.features}
    return {**_object(properties), "additionalProperties": False}


def _property(feature: Feature) -> Json:
    if isinstance(feature, Category):
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
        "400": "Not JSON, or no HTTP/1.1.",
        "404": "An unknown entity.",
        "408": "The request did not arrive in time.",
        "413": "Too large.",
        "415": "Compressed.",
        "431": "A head that is too large.",
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
