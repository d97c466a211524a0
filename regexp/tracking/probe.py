"""Whether an MLflow server answers at an address."""

import os
import ssl
import urllib.error
import urllib.request

from regexp.tracking.error import StoreAwayError, reason

_SECONDS = 5

# MLflow's own variables for servers with certificates that the machine does not trust.
_INSECURE = "MLFLOW_TRACKING_INSECURE_TLS"
_CERTIFICATE = "MLFLOW_TRACKING_SERVER_CERT_PATH"


def probe(uri: str) -> None:
    """Fail within seconds when no server answers; any HTTP answer will do.

    Raises:
        StoreAwayError: none does, or nobody trusts its certificate.
    """
    try:
        health = f"{uri.rstrip('/')}/health"
        with urllib.request.urlopen(health, timeout=_SECONDS, context=_certificates()):
            pass
    except urllib.error.HTTPError:
        pass
    except (OSError, ValueError) as error:
        why = reason(getattr(error, "reason", error))
        if isinstance(getattr(error, "reason", error), ssl.SSLError):
            raise StoreAwayError(
                f"tracking.uri={uri}: the server's certificate is not trusted ({why}). Name the "
                f"file of its authority's in {_CERTIFICATE}.",
                why,
            ) from error
        raise StoreAwayError(
            f"tracking.uri={uri}: no MLflow server answers there ({why}). Start it "
            "(mlflow server --host HOST --port PORT), correct the address, or leave it out "
            "(tracking.uri=null, MLFLOW_TRACKING_URI unset) to record into an SQLite file.",
            why,
        ) from error


def _certificates() -> ssl.SSLContext | None:
    """Whom MLflow's own variables say to trust; None for those that the machine trusts."""
    if os.environ.get(_INSECURE, "").lower() in ("true", "1"):
        anybody = ssl.create_default_context()
        anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
        return anybody
    named = os.environ.get(_CERTIFICATE) or os.environ.get("REQUESTS_CA_BUNDLE")
    return ssl.create_default_context(cafile=named) if named else None
