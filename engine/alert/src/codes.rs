//! The diagnostics of routes.

tripline_base::codes! {
    /// All codes of routes.
    pub ALL;
    UNKNOWN_DESTINATION = "T0520" error "unknown-destination" "a route names a destination that does not exist"
"`to` takes names of `[[destination]]` tables of the same file.";
    UNREACHABLE_ROUTE = "T0521" error "unreachable-route" "a route stands behind one that takes everything"
"Routes are tried in order, and the first that fits takes the alert unless it says `continue = true`. A route without
`when` fits every alert, so it stands last.";
    NO_DEFAULT_ROUTE = "T0522" warning "no-default-route" "some alerts are told to nobody"
"There are destinations, and no route takes what the others leave. End with a `[[route]]` without `when`.";
    UNKNOWN_HOURS = "T0523" error "unknown-hours" "a route names hours that are not defined"
"`hours` takes the name of a table `[hours.NAME]` of the same file.";
    BAD_HOURS = "T0524" error "bad-hours" "hours cannot be used"
"Hours have `days` (`\"mon\"` to `\"sun\"`), `from` and `to` (such as `\"09:00\"`), a `zone` of the time zone database
(such as `\"Europe/Berlin\"`), and may have `holidays` (such as `\"2026-12-25\"`). `to` may lie on the next day.";
    ROUTE_NOWHERE = "T0525" error "route-nowhere" "a route leads nowhere"
"A route has destinations in `to`, or routes of its own that have. To keep alerts from everybody, say `to = []`.";
}
