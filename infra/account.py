"""What a stack file says of the account of Amazon's that the stack is made in."""

from typing import Annotated, Literal

from pydantic import Field

from infra.words import (
    Account,
    Address,
    Certificate,
    Cidr,
    EncryptionKey,
    Network,
    Principal,
    Region,
    Repository,
    Role,
    Strict,
    Version,
    Word,
)

Zone = Literal["a", "b", "c", "d", "e", "f"]


class Pipelines(Strict):
    """Whose pipelines deploy, and the state that they share: its bucket and its secrets' key."""

    repository: Repository
    state_bucket: Word
    state_key: EncryptionKey


class Budget(Strict):
    """What a month may cost, in US dollars, and who hears of it."""

    monthly: Annotated[int, Field(strict=True, ge=1)]
    subscribers: Annotated[tuple[Address, ...], Field(min_length=1, max_length=10)]


class Replica(Strict):
    """A bucket elsewhere that takes a copy of every version of the stack's, and its key."""

    bucket: Word
    """Its name: versioned, with object lock, of the same account."""
    key: EncryptionKey
    """Of the region that it is in."""


class AwsFoundation(Strict):
    """An account that is this stack's alone, where it makes its own Kubernetes."""

    kind: Literal["aws"]
    region: Region
    account: Account
    zones: Annotated[tuple[Zone, ...], Field(min_length=2)] = ("a", "b", "c")
    """Letters of the region's zones."""
    cidr: Network = "10.0.0.0/16"
    version: Version = "1.34"
    """Of Kubernetes."""
    public_cidrs: tuple[Cidr, ...] = ()
    """Addresses that reach the cluster's API from outside its network; none: nobody does."""
    administrators: Annotated[tuple[Role, ...], Field(min_length=1)]
    """Roles that may do everything in the cluster; whoever makes it, may by that nothing."""
    data_scientists: tuple[Principal, ...] = ()
    auditors: tuple[Principal, ...] = ()
    """Who may take on the role that the stack makes for each; none: it makes no such role."""
    certificate: Certificate
    """For every name under the stack's domain."""
    pipelines: Pipelines | None = None
    budget: Budget | None = None
    replica: Replica | None = None
