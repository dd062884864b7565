package finding

// rules are all rules there are, by code. Codes are never given a second meaning:
// PR1xx is about Linux or about pools of any system, PR2xx about Windows, PR3xx
// about macOS.
var rules = []Rule{
	{Code: "PR101", Name: "pool-exhausted", Moots: []string{"PR102", "PR103"}, find: poolExhausted},
	{Code: "PR102", Name: "pool-nearly-exhausted", find: poolNearlyExhausted},
	{Code: "PR103", Name: "past-knee", find: pastKnee},
	{Code: "PR104", Name: "time-wait-dominates", find: timeWaitDominates},
	{Code: "PR105", Name: "close-wait-leak", Moots: []string{"PR102", "PR103"}, find: closeWaitLeak},
	{Code: "PR106", Name: "connects-unanswered", find: connectsUnanswered},
	{Code: "PR107", Name: "bind-before-connect", System: Linux, Moots: []string{"PR108"}, find: bindBeforeConnect},
	{Code: "PR108", Name: "bind-exhausted", System: Linux, find: bindExhausted},
	{Code: "PR109", Name: "ports-blocked", System: Linux, find: portsBlocked},
	{Code: "PR110", Name: "range-blocked", System: Linux, Moots: []string{"PR101", "PR102", "PR103", "PR107", "PR108", "PR109", "PR111"}, find: rangeBlocked},
	{Code: "PR111", Name: "odd-range", System: Linux, find: oddRange},
	{Code: "PR112", Name: "range-collides", System: Linux, find: rangeCollides},
	{Code: "PR113", Name: "reuse-without-timestamps", System: Linux, find: reuseWithoutTimestamps},
	{Code: "PR114", Name: "tw-buckets-overflow", System: Linux, find: bucketsOverflow},
	{Code: "PR115", Name: "fin-timeout-folklore", System: Linux, find: finTimeoutFolklore},
	{Code: "PR116", Name: "tw-recycle", System: Linux, find: recycle},
	{Code: "PR117", Name: "tw-buckets-lowered", System: Linux, Moots: []string{"PR114"}, find: bucketsLowered},
	{Code: "PR118", Name: "namespace-untuned", System: Linux, find: namespaceUntuned},
	{Code: "PR119", Name: "conntrack-full", System: Linux, find: conntrackFull},
	{Code: "PR120", Name: "snat-clashes", System: Linux, find: snatClashes},
	{Code: "PR121", Name: "udp-pool-full", find: udpPoolFull},

	{Code: "PR201", Name: "max-user-port-absent", System: Windows, find: maxUserPortAbsent},
	{Code: "PR202", Name: "max-user-port-invalid", System: Windows, find: maxUserPortInvalid},
	{Code: "PR203", Name: "max-user-port-ignored", System: Windows, find: maxUserPortIgnored},
	{Code: "PR204", Name: "timed-wait-delay-invalid", System: Windows, find: timedWaitDelayInvalid},
	{Code: "PR205", Name: "excluded-ranges", System: Windows, find: excludedRanges},
	{Code: "PR206", Name: "bound-leak", System: Windows, find: boundLeak},
	{Code: "PR207", Name: "time-wait-497-days", System: Windows, find: after497Days},

	{Code: "PR301", Name: "time-wait-49-days", System: Darwin, find: after49Days},
}
