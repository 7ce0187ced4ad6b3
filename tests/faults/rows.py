"""The rows of faults and attacks, and which tests prove each: parts of their names in a report."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    number: int
    fault: str
    tests: tuple[str, ...]


def _row(number: int, fault: str, *tests: str) -> Row:
    return Row(number, fault, tests)


STORIES = "test_outside_changes"
SIMULATION = "test_simulation"
PROCESS = "test_executor_process_rows"
ROWS = (
    _row(1, "kill -9 at each step gap", f"{PROCESS}.test_row_1", "test_audit_crashes", "test_crash_points"),
    _row(2, "random kills of random services", SIMULATION),
    _row(3, "executor dies between POST and record", "POST_SENT", "after_the_POST_of_a_protection", "test_executor_restarts", "death_after"),
    _row(4, "forced redelivery, the same envelope again", "delivered_again", "test_bus_reads", "approval delivered again"),
    _row(5, "two executors with the same configuration", "test_bus_lease"),
    _row(6, "two gates race the daily cap", "test_gate_process"),
    _row(7, "a zombie comes back after its standby took over", "test_bus_lease", "test_gate_process"),
    _row(8, "the whole stack is killed at once", "test_broker_survives_restarts", "test_embedded_stack"),
    _row(9, "SIGTERM during work", "test_it_ends_cleanly_when_asked", "test_interrupts"),
    _row(10, "a poison message", "unit.runtime.test_service", "test_executor_containment"),
    _row(11, "the executor's journal is lost", "test_executor_restarts", "test_executor_journal", "test_executor_restores"),
    _row(12, "accepted and the answer lost; 5xx with and without an order", "test_row_12", "test_executor_unknown"),
    _row(13, "429 for a minute", "test_alpaca_look_ups", "test_requests_beyond_a_rate_limit"),
    _row(14, "answers after 30 s, a byte a second", "test_alpaca_adapter", "a_byte_at_a_time"),
    _row(15, "answers that make no sense", "test_alpaca_adapter", "test_a_position_that_is_not_a_number", "not_a_number"),
    _row(16, "reset, refused, no such host", "test_alpaca_adapter"),
    _row(17, "404, and the order appears later", "appears later", "appears_late", "test_executor_unknown"),
    _row(18, "fills in part, late, too many", "test_exchange_fills", "test_order_faults", "filled in part"),
    _row(19, "foreign orders, manual positions, drift", "test_executor_disputes", "by hand"),
    _row(20, "account blocked, buying power out, 401", "a blocked account", "test_executor_guards"),
    _row(21, "Redis is killed and comes back", "test_bus_server_away", "test_kill_latch_gaps"),
    _row(22, "Redis unreachable or slow", "test_bus_server_away"),
    _row(23, "append-only file cut, older copy, FLUSHALL", "test_redis_regress", "test_watermark", "test_redis_guard"),
    _row(24, "Redis or disk full", "test_bus_server_away", "test_kill_latch"),
    _row(25, "wrong Redis settings", "test_provision", "test_start"),
    _row(26, "failover to a replica", "test_redis_regress"),
    _row(27, "a runaway signal-engine", "test_gate_process", "test_gate_gathers"),
    _row(28, "forged entries by any Redis user", "test_acl"),
    _row(29, "forged orders with a stolen password", "test_row_29", "test_signing"),
    _row(30, "kill by PUBLISH", "test_row_30", "test_kill_latch"),
    _row(31, "PUBLISH while the executor is down", "test_kill_latch"),
    _row(32, "PUBLISH when nobody is subscribed", "test_kill_latch_gaps"),
    _row(33, "kill while a POST is under way", "test_row_33", "kill while an entry"),
    _row(34, "kill payloads of any kind", "test_kill_latch"),
    _row(35, "stale resumes, latch keys deleted", "test_kill_latch", "test_kill_latch_gaps"),
    _row(36, "the kill file", "test_kill_latch"),
    _row(37, "clock skew and jumps", "test_system_clock", "test_executor_watches", "a_quote_can_be_old_and_the_clock_wrong"),
    _row(38, "daylight saving, half days, holidays", "test_every_day_2015_to_2027", "test_market_hours", "test_timetable"),
    _row(39, "two schedulers, one dies after its claim", "test_a_slot_found_by_two", "next_instance", "scheduler crash"),
    _row(40, "the scheduler starts late", "test_a_late_start", "test_a_start_after"),
    _row(41, "the budget's day", "test_gate_budget", "test_gate_sessions", "test_session_order"),
    _row(42, "bars missing or stale", "test_data_fetcher_bars", "test_brokers_calendar"),
    _row(43, "bad bars", "test_bars", "test_jumps"),
    _row(44, "bad quotes", "test_rules_at_their_edges", "test_a_quote_can_be_empty_crossed_or_wide", "test_alpaca_quotes"),
    _row(45, "an old approval replayed", "test_row_45", "test_executor_guards"),
    _row(46, "messages that make no sense", "unit.schemas", "test_handler_table"),
    _row(47, "paper and live mixed up", "test_executor_guards", "test_preflight"),
    _row(48, "live by accident", "test_executor_guards"),
    _row(49, "configuration or code drifts", "test_executor_watches", "test_settings"),
    _row(57, "secrets where they do not belong", "test_masking", "test_log_masking"),
    _row(58, "attacks on the console's HTTP", "unit.console"),
    _row(59, "container escape, supply chain", "test_compose_files", "test_compose_stack"),
    _row(60, "disk and log growth", "test_archive_growth", "test_bus_logs"),
)  # fmt: skip
