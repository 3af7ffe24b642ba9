"""The channels: which targets may have a token, and one that is encrypted."""

from __future__ import annotations

import datetime
import ipaddress

import grpc
import grpc.aio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from async_auth.errors import ConfigurationError
from async_auth.integrations.grpc import insecure_channel, secure_channel
from async_auth.integrations.grpc.channels import stays_here


@pytest.mark.parametrize(
    "target",
    [
        "localhost:50051",
        "localhost",
        "127.0.0.1:50051",
        "[::1]:50051",
        "::1",
        "dns:localhost:1",
        "dns:///localhost:1",
        "dns://8.8.8.8/127.0.0.1:1",
        "ipv4:127.0.0.1:1,127.0.0.2:2",
        "ipv6:[::1]:1",
        "ipv6:%5B::1%5D:1",
        "unix:run/it.sock",
        "unix:///run/it.sock",
        "unix-abstract:it",
    ],
)
def test_what_stays_on_this_machine(target):
    """Loopback and Unix sockets, in gRPC's spellings."""
    assert stays_here(target)


@pytest.mark.parametrize(
    "target",
    [
        "api.example.com:443",
        "10.0.0.1:1",
        "[2001:db8::1]:1",
        "dns:///api.example.com",
        "dns://127.0.0.1/api.example.com",
        "ipv4:127.0.0.1:1,10.0.0.1:1",
        "xds:///localhost",
        "vsock:1:2",
        "",
    ],
)
def test_what_may_be_elsewhere(target):
    """What we do not know is elsewhere."""
    assert not stays_here(target)


async def test_a_channel_on_this_machine_uses_no_proxy(monkeypatch, connect, client):
    """A proxy would see what is not encrypted, and may be anywhere."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)

    stub = await connect(client, options=[("grpc.max_receive_message_length", 1024)])
    assert b"A" == await stub.unary(b"a")


async def test_no_token_travels_in_the_clear(client):
    """It is refused at once, unless it was asked for."""
    with pytest.raises(ConfigurationError, match=r"^target: api\.example\.com:80 would"):
        insecure_channel(client, "api.example.com:80")
    await insecure_channel(client, "api.example.com:80", allow_insecure=True).close()


@pytest.fixture
def certificate():
    """Return the PEM texts of a key and of its certificate for loopback."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    return (
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
        certificate.public_bytes(serialization.Encoding.PEM),
    )


async def test_an_encrypted_channel(stage, client, bouncer, listen, certificate):
    """It carries the token wherever it goes, and refused calls are made again."""
    port = await listen(grpc.ssl_server_credentials([certificate]))
    credentials = grpc.ssl_channel_credentials(certificate[1])
    bouncer.bar(client.session.access_token)

    async with secure_channel(client, f"127.0.0.1:{port}", credentials) as channel:
        assert b"A" == await channel.unary_unary("/test.Echo/Unary")(b"a")
    assert 1 == stage.refreshes


class Counting(grpc.aio.UnaryUnaryClientInterceptor):
    """A user's own interceptor."""

    def __init__(self):
        self.metadata = []

    async def intercept_unary_unary(self, continuation, client_call_details, request):
        """Count the call."""
        self.metadata.append(client_call_details.metadata)
        return await continuation(client_call_details, request)


async def test_the_users_interceptors_see_no_token(connect, client, bouncer):
    """They see each call once, before the token is in it."""
    counting = Counting()
    stub = await connect(client, interceptors=[counting])
    bouncer.bar(client.session.access_token)

    assert b"A" == await stub.unary(b"a", metadata=(("x-mine", "1"),))
    (metadata,) = counting.metadata
    assert [("x-mine", "1")] == list(metadata)
