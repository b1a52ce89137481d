"""A release: one registered model version with everything that serving it depends on."""

import hashlib
import json
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from infra.settings import Commit, Data, Digest, Pin, Signer
from promotion.refusals import GateRefused

FORMAT = 1


class Release(BaseModel):
    """What `evidence/<model>/<version>/release.json` holds; its own digest pins all of it.

    `files` gives the SHA-256 of every other file beside it, by name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    model: str
    version: int
    run: str
    image: Digest
    weights: Digest
    signer: Signer
    data: Data
    features: Digest
    commit: Commit
    files: dict[str, Digest]

    def document(self) -> bytes:
        """Canonical JSON: the same release always gives the same bytes."""
        return canonical(self.model_dump(mode="json", by_alias=True))

    def pin(self) -> Pin:
        """What a stack file says of this release."""
        return Pin(
            version=self.version,
            run=self.run,
            image=self.image,
            weights=self.weights,
            signer=self.signer,
            data=self.data,
            features=self.features,
            commit=self.commit,
            evidence=digest(self.document()),
        )

    @classmethod
    def read(cls, document: bytes, *, evidence: Digest | None = None) -> Self:
        """From the stored bytes; refuses what is no release, or not what `evidence` pins."""
        if evidence is not None and digest(document) != evidence:
            raise GateRefused(
                f"release.json has digest {digest(document)}, the pin wants {evidence}: "
                "the evidence was changed after it was pinned"
            )
        try:
            return cls.model_validate_json(document)
        except ValidationError as error:
            wrong = sorted(
                {".".join(map(str, item["loc"])) or "all of it" for item in error.errors()}
            )
            raise GateRefused(
                f"release.json is no release of this format: {', '.join(wrong)}; "
                "train and register again, evidence is written once"
            ) from error


def digest(content: bytes) -> str:
    """`sha256:` and the 64 hexadecimal digits over `content`."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def canonical(value: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """JSON with sorted keys and no free choice of white space, ending in a newline."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + (
        b"\n"
    )
