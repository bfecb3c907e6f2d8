from tests.endpoint.conftest import serve  # noqa: F401  a fixture
