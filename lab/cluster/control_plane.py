"""The control plane's command lines: etcd, API server, controller manager, scheduler."""

from pathlib import Path

from lab import toolchain
from lab.cluster.identity import Lab
from lab.cluster.processes import Part

_ETCD = "https://127.0.0.1:2379"


def etcd(lab: Lab, pki: Path) -> Part:
    return Part(
        "etcd",
        [
            str(toolchain.binary("etcd")),
            f"--data-dir={lab.folder / 'etcd'}",
            f"--listen-client-urls={_ETCD}",
            f"--advertise-client-urls={_ETCD}",
            "--listen-peer-urls=http://127.0.0.1:2380",
            f"--cert-file={pki / 'etcd.crt'}",
            f"--key-file={pki / 'etcd.key'}",
            f"--trusted-ca-file={pki / 'etcd-ca.crt'}",
            "--client-cert-auth",
            "--auto-compaction-retention=1h",
            # A machine's crash may cost a lab its last second; an fsync per write costs each
            # start a good part of its time.
            "--unsafe-no-fsync",
            "--log-level=warn",
        ],
    )


def apiserver(lab: Lab, pki: Path) -> Part:
    return Part(
        "apiserver",
        [
            str(toolchain.binary("kube-apiserver")),
            f"--etcd-servers={_ETCD}",
            f"--etcd-cafile={pki / 'etcd-ca.crt'}",
            f"--etcd-certfile={pki / 'etcd.crt'}",
            f"--etcd-keyfile={pki / 'etcd.key'}",
            f"--advertise-address={lab.address}",
            "--bind-address=0.0.0.0",
            "--secure-port=6443",
            f"--service-cluster-ip-range={lab.services}",
            f"--tls-cert-file={pki / 'apiserver.crt'}",
            f"--tls-private-key-file={pki / 'apiserver.key'}",
            f"--client-ca-file={pki / 'ca.crt'}",
            "--anonymous-auth=false",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
            f"--service-account-key-file={pki / 'accounts.pub'}",
            f"--service-account-signing-key-file={pki / 'accounts.key'}",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--kubelet-certificate-authority={pki / 'ca.crt'}",
            f"--kubelet-client-certificate={pki / 'apiserver-kubelet.crt'}",
            f"--kubelet-client-key={pki / 'apiserver-kubelet.key'}",
            "--kubelet-preferred-address-types=InternalIP",
            f"--requestheader-client-ca-file={pki / 'front-proxy-ca.crt'}",
            "--requestheader-allowed-names=front-proxy-client",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={pki / 'front-proxy.crt'}",
            f"--proxy-client-key-file={pki / 'front-proxy.key'}",
            "--enable-aggregator-routing=true",
        ],
    )


def controller_manager(lab: Lab, pki: Path) -> Part:
    kubeconfig = lab.folder / "controller-manager.kubeconfig"
    return Part(
        "controller-manager",
        [
            str(toolchain.binary("kube-controller-manager")),
            *_client(kubeconfig),
            f"--service-account-private-key-file={pki / 'accounts.key'}",
            f"--root-ca-file={pki / 'ca.crt'}",
            f"--cluster-signing-cert-file={pki / 'ca.crt'}",
            f"--cluster-signing-key-file={pki / 'ca.key'}",
            "--use-service-account-credentials",
            f"--flex-volume-plugin-dir={lab.folder / 'kubelet' / 'plugins'}",
        ],
    )


def scheduler(lab: Lab) -> Part:
    command = [
        str(toolchain.binary("kube-scheduler")),
        *_client(lab.folder / "scheduler.kubeconfig"),
    ]
    return Part("scheduler", command)


def _client(kubeconfig: Path) -> list[str]:
    # One of each runs, and an election would make every start wait for the last one's lease.
    return [
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
    ]
