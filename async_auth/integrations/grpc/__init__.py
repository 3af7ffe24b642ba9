"""gRPC (`grpc.aio`): channels whose calls carry the token.

    import grpc
    from async_auth.gotrue import GoTrueClient
    from async_auth.integrations.grpc import secure_channel

    async with GoTrueClient("https://x.supabase.co/auth/v1", api_key) as client:
        await client.sign_in_with_password(email=email, password=password)
        tls = grpc.ssl_channel_credentials()
        async with secure_channel(client, "api.example.com:443", tls) as channel:
            answer = await GreeterStub(channel).SayHello(HelloRequest(name="you"))

Every call carries a good token as `authorization`. A call that is refused with UNAUTHENTICATED
refreshes that very token; one with a single request is made once more, if its answer has not
begun. `insecure_channel` is for servers on this machine.
"""

from __future__ import annotations

try:
    import grpc.aio  # noqa: F401 - to say at once what is missing
except ModuleNotFoundError as missing:
    raise ImportError(
        "async_auth.integrations.grpc needs grpcio: pip install 'async_auth[grpc]'."
    ) from missing

from async_auth.integrations.grpc.channels import insecure_channel, secure_channel

__all__ = ["insecure_channel", "secure_channel"]
