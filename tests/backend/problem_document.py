from typing import Any

from httpx2 import Response


def problem_of(response: Response, status: int) -> dict[str, Any]:
    """Returns the problem document of an answer, after checking its shape."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert problem["status"] == status
    assert problem["type"] == "about:blank"
    assert problem["title"]
    assert problem["detail"]
    assert "Traceback" not in problem["detail"]
    return problem
