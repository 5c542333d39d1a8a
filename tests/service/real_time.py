"""What the control unit lets the loop ask of the system."""

from tests.service.board import CONFIG, CONTROL, Board, run


def processors_and_locked_memory_are_not_forbidden(board: Board) -> str:
    """A call that the unit filters would be refused as not permitted; a limit that the container
    may not raise leaves too little room for the lock, which is another answer."""
    plain = CONFIG.read_text("utf-8")
    board.configure(instead=plain.replace("[loop]\n", "[loop]\ncpus = [0]\nlock_memory = true\n"))
    run("systemctl", "restart", CONTROL)
    board.until_moving()
    granted = board.control()["realtime"]
    assert granted["cpus"] == "0", granted
    assert "not permitted" not in granted["memory"], granted
    board.configure()
    run("systemctl", "restart", CONTROL)
    board.until_moving()
    return f"on processor {granted['cpus']}, memory {granted['memory']}"
