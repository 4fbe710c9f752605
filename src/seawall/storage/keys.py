"""Whether the files of a certificate authority belong together."""

from __future__ import annotations

import ssl
from pathlib import Path

from seawall.storage.archive import CA_CERTIFICATE, CA_KEY, BackupError


def check_authority(directory: Path, name: str) -> None:
    """Whether the CA's certificate and key in a copied directory fit; `name` is what messages call it.

    The server's pair isn't looked at: a controller makes it anew where it doesn't fit. Raises BackupError.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # A password, so that OpenSSL never asks the terminal for one.
        context.load_cert_chain(directory / CA_CERTIFICATE, directory / CA_KEY, password="")
    except (ssl.SSLError, ValueError) as error:
        raise BackupError(
            f"{CA_KEY} and {CA_CERTIFICATE} in {name} don't belong together, so no agent would trust a controller with "
            "them; use an earlier backup"
        ) from error
