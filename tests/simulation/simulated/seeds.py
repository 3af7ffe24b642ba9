"""Seeds that have found something, and why each is kept; the worlds of all of them hold today.

A change of what a world draws gives every seed another world: then a kept one is as good as any
other, and what it was kept for is told by the mended code's own test.
"""

from __future__ import annotations

#: By seed.
KEPT = {
    66: "a process that was suspended between lock and request spends a token late",
    239: "two managers of one process meet at a lock whose lease has ended",
    3019: "a store lost a record that a flight at the lock had not heard of",
    250: "a wall clock that was set forward cut off the refresh that was under way",
    402: "refreshes take as long as their token is good for: one has to ask more than once",
    516: "a forgiving server gave one token to two, who counted it differently",
    1565: "a store lost a record at the very end, which nobody misses before the next refresh",
    1666: "a lost answer was asked for again though another manager had brought a newer token",
    951: "what a forgiving server gave to two was stored by who had counted it further",
    1857: "of refreshes that take as long as their token is good for, six in a row came too late",
    2840: "another's token of the same generation, on another clock, came from the store",
    3682: "who signed in took the mark of a sign-out away, which was taken for a loss then",
    6017: "what a refresh had found was told after the streams were closed, callbacks out of turn",
    7077: "who had seen more sign-ins counted its answer higher than who had got on with the token",
    8722: "a sign-in was stored though that failed, used by another process, and replaced by a third",
    2137: "a new sign-in was saved by a retry while its token was spent, and overwritten unseen",
    4981: "a sign-in, and the sign-out that the user asked for, were told at once",
    4544: "what two got for one token was stored by the later, and overwritten by the earlier",
    4355: "a new failure of the store was not told yet when it was asked what became of the last",
    4373: "a clock was set back before anybody had noticed that it had been set forward",
    1698: "a process that had not heard of an end stored the session again, and it was adopted",
    2368: "who signed out of a sign-in that was not saved yet came back as the one before",
    2379: "the same, where the store encrypts and callbacks run out of turn",
    815: "what was stored after a refusal was looked into came too late for who was refused",
    825: "a back-off begun on a clock just set back was moved back once more, and over at once",
    927: "a sign-out that loaded the session itself spent a token to say goodbye",
}

#: By plant: the first seed that finds it, on Python 3.13, and which law does. Another Python runs
#: tasks in another order and may need a few more.
FINDS = {
    "back_off_ignored": (0, {"backs_off"}),
    "clock_set_back_unnoticed": (2, {"follows_its_clock"}),
    "close_does_not_wait": (1, {"every_event_once", "let_finish"}),
    "conflict_ignored": (2, {"saved_before_told"}),
    "event_inside_the_lock": (0, {"told_outside_locks"}),
    "event_published_twice": (0, {"every_event_once"}),
    "expired_token_handed_out": (0, {"good_token"}),
    "failed_save_forgotten": (0, {"all_saved"}),
    "flight_not_joined": (0, {"one_refresh_in_flight", "spent_once"}),
    "generation_not_compared": (0, {"spent_once"}),
    "generation_restarts": (0, {"spent_once"}),
    "lagged_not_counted": (1, {"every_event_once"}),
    "late_401_refreshes_again": (9, {"late_401"}),
    "lease_not_asked_for": (0, {"spent_under_lease"}),
    "lock_released_before_the_save": (0, {"saved_under_lock"}),
    "lost_answer_taken_for_a_refusal": (0, {"ended_by_somebody"}),
    "missing_shield": (4, {"let_finish"}),
    "refusal_without_another_look": (0, {"told_once"}),
    "rotated_token_dropped": (0, {"never_dropped"}),
    "secret_in_an_exception": (0, {"no_secret"}),
    "sign_out_loses": (0, {"told_once"}),
    "timer_forgotten": (2, {"healed"}),
}
