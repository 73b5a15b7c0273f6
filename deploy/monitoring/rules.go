package monitoring

import (
	"fmt"
	"time"
)

// Severities of rules.
const (
	// Critical is for somebody to be woken up: writes or reads fail, or the next fault loses films.
	Critical = "critical"
	// Warning is for the next working day.
	Warning = "warning"
)

// Rule is one alert.
type Rule struct {
	Name     string
	Expr     string        // PromQL
	Hold     time.Duration // for which Expr must hold
	Severity string
	Summary  string // a sentence; may use Prometheus' templates
	Detail   string // what it means for whoever uses the cluster
}

// Times are the holds and bounds of the rules. A drill shortens them.
type Times struct {
	Urgent, Minute, Soon, Late time.Duration // holds
	Window                     time.Duration // over which progress, stalls are counted; at least two scrapes
	Backup                     time.Duration // age of the last backup
	Move                       time.Duration // age of a move between classes
	Certificate, Expired       time.Duration // before the end of a certificate
	Clock                      time.Duration // difference of clocks
}

// DefaultTimes are those of the files that the project ships.
func DefaultTimes() Times {
	return Times{
		Urgent: 15 * time.Second, Minute: time.Minute, Soon: 5 * time.Minute, Late: 15 * time.Minute,
		Window: 15 * time.Minute, Backup: 26 * time.Hour, Move: 6 * time.Hour,
		Certificate: 21 * 24 * time.Hour, Expired: 2 * 24 * time.Hour, Clock: time.Second,
	}
}

// seconds is a duration as a number of PromQL, window as a range.
func seconds(d time.Duration) string { return fmt.Sprintf("%g", d.Seconds()) }
func window(d time.Duration) string  { return fmt.Sprintf("[%ds]", int(d.Seconds())) }

// Rules are the alerts, the most pressing first.
func Rules(t Times) []Rule {
	return append(append(append(consensusRules(t), storeRules(t)...), redundancyRules(t)...), upkeepRules(t)...)
}

// consensusRules are of the metadata cluster and of hosts.
func consensusRules(t Times) []Rule {
	return []Rule{
		{
			Name: "VStackNoLeader", Hold: t.Urgent, Severity: Critical,
			Expr:    `sum by (cluster) (vstack_raftnode_leader) == 0 or sum by (cluster) (up{job="vstack-meta"}) == 0`,
			Summary: "No member of the metadata cluster leads",
			Detail:  "Nothing can be written and no upload published; films that are published play.",
		},
		{
			Name: "VStackMemberLost", Hold: t.Minute, Severity: Warning,
			Expr: `max by (cluster) (vstack_raftnode_voters) - count by (cluster) (vstack_raftnode_belongs == 1 and on (cluster, node) vstack_raftnode_last_contact_seconds < 10) > 0`,

			Summary: "{{ $value }} of the members that vote are away",
			Detail:  "Fewer members may fail than the cluster was built for.",
		},
		{
			Name: "VStackHostDown", Hold: t.Minute, Severity: Warning,
			Expr:    `min by (cluster, node) (up{job=~"vstack-.+"}) == 0`,
			Summary: "Host {{ $labels.node }} does not answer its scrape",
			Detail:  "It is down, or out of reach of Prometheus alone.",
		},
		{
			Name: "VStackLogSlow", Hold: t.Minute, Severity: Warning,
			Expr:    `vstack_raftnode_disk_slow_ratio > 0.5`,
			Summary: "The disk of the catalog's log of {{ $labels.node }} is slow",
			Detail:  "Writes to the catalog wait for it while it leads; it hands leadership over where it can.",
		},
		{
			Name: "VStackClockWrong", Hold: t.Minute, Severity: Warning,
			Expr:    `abs(vstack_host_time_seconds{job="vstack-data"} - timestamp(vstack_host_time_seconds{job="vstack-data"})) > ` + seconds(t.Clock) + ` or abs(vstack_host_time_seconds{job="vstack-meta"} - timestamp(vstack_host_time_seconds{job="vstack-meta"})) > ` + seconds(t.Clock),
			Summary: "The clock of {{ $labels.node }} differs from Prometheus' by {{ $value }} s",
			Detail:  "Certificates may count as not yet good or as expired, and times of events mislead.",
		},
	}
}

// storeRules are of single stores.
func storeRules(t Times) []Rule {
	return []Rule{
		{
			Name: "VStackStoreDown", Hold: t.Minute, Severity: Warning,
			Expr:    `min by (cluster, store, host) (vstack_metastore_store_up) == 0`,
			Summary: "Store {{ $labels.store }} of host {{ $labels.host }} is not up",
			Detail:  "After dead_after its roles move to other stores, where there are any.",
		},
		{
			Name: "VStackStoreNearlyFull", Hold: t.Soon, Severity: Warning,
			Expr:    `vstack_datanode_store_free_bytes / vstack_datanode_store_capacity_bytes < 0.1`,
			Summary: "Store {{ $labels.store }} on {{ $labels.node }} has {{ $value | humanizePercentage }} of its space left",
			Detail:  "Uploads whose slots it votes on will be refused when it is full.",
		},
		{
			Name: "VStackStoreFull", Hold: t.Urgent, Severity: Critical,
			Expr:    `vstack_datanode_store_free_bytes < 8388608`,
			Summary: "Store {{ $labels.store }} on {{ $labels.node }} is full",
			Detail:  "It takes no more chunks; uploads are answered DISK_FULL. Films play.",
		},
		{
			Name: "VStackRot", Hold: t.Soon, Severity: Warning,
			Expr:    `vstack_datanode_chunks_corrupt > 0`,
			Summary: "{{ $value }} chunks in store {{ $labels.store }} on {{ $labels.node }} are damaged and not healed",
			Detail:  "Readers get the bytes from other stores. A disk that damages again and again wants to be replaced.",
		},
		{
			Name: "VStackMissingWithoutProgress", Hold: t.Late, Severity: Warning,
			Expr: `vstack_datanode_chunks_missing > 0 and on (cluster, node, store) increase(vstack_datanode_converge_filled_total` + window(t.Window) + `)` +
				` + increase(vstack_datanode_converge_fragments_total` + window(t.Window) + `) + increase(vstack_datanode_converge_healed_total` + window(t.Window) + `) == 0`,
			Summary: "Store {{ $labels.store }} on {{ $labels.node }} lacks {{ $value }} chunks and fetches none",
			Detail:  "Films bear fewer failures until it has them.",
		},
		{
			Name: "VStackScrubLate", Hold: t.Soon, Severity: Warning,
			Expr:    `time() - vstack_datanode_scrub_passed_timestamp_seconds > 2 * vstack_datanode_scrub_interval_seconds`,
			Summary: "The bytes of store {{ $labels.store }} on {{ $labels.node }} were last checked {{ $value | humanizeDuration }} ago",
			Detail:  "Damage that nobody reads stays unknown until then.",
		},
	}
}

// redundancyRules are of films and of the groups that they lie in.
func redundancyRules(t Times) []Rule {
	return []Rule{
		{
			Name: "VStackNoQuorum", Hold: t.Urgent, Severity: Critical,
			Expr:    `sum by (cluster) (vstack_metastore_groups{acceptors_up=~"0|1"}) > 0`,
			Summary: "{{ $value }} placement groups have fewer than two acceptors up",
			Detail:  "Uploads that meet one of these groups wait. Films play where a copy is left.",
		},
		{
			Name: "VStackGroupsHeld", Hold: t.Soon, Severity: Warning,
			Expr:    `max by (cluster) (vstack_metastore_epoch_held_groups) > 0`,
			Summary: "{{ $value }} placement groups should move and lack a majority of their acceptors",
			Detail:  "Their roles stay with stores that are lost until one of those returns.",
		},
		{
			Name: "VStackVideosUnreadable", Hold: t.Minute, Severity: Critical,
			Expr:    `max by (cluster) (vstack_metastore_redundancy_unproven_videos) > 0`,
			Summary: "{{ $value }} videos are not known to be readable",
			Detail:  "Of some chunk too little is held by stores that are heard.",
		},
		{
			Name: "VStackToleranceBelowOne", Hold: t.Minute, Severity: Critical,
			Expr:    `max by (cluster) (vstack_metastore_redundancy_hosts_can_fail) < 1`,
			Summary: "The loss of one more host can make a video unreadable",
			Detail:  "What is missing is being made again where there are stores for it.",
		},
		{
			Name: "VStackToleranceBelowWanted", Hold: t.Late, Severity: Warning,
			Expr:    `max by (cluster) (vstack_metastore_redundancy_below_videos) > 0`,
			Summary: "{{ $value }} videos bear the loss of fewer hosts than the policy asks for",
			Detail:  "They are readable; repair is behind, or there are too few hosts.",
		},
		{
			Name: "VStackMoveStuck", Hold: t.Soon, Severity: Warning,
			Expr:    `max by (cluster) (vstack_metastore_class_oldest_move_seconds) > ` + seconds(t.Move),
			Summary: "A video has been between copies and fragments for {{ $value | humanizeDuration }}",
			Detail:  "It plays, and takes the space of both meanwhile.",
		},
	}
}

// upkeepRules are of what people have to see to, and of viewers.
func upkeepRules(t Times) []Rule {
	const left = `vstack_identity_certificate_expiry_timestamp_seconds - time()`
	const life = `vstack_identity_certificate_expiry_timestamp_seconds - vstack_identity_certificate_issued_timestamp_seconds`
	return []Rule{
		{
			Name: "VStackCertificateExpiresNow", Hold: t.Urgent, Severity: Critical,
			Expr:    `min by (cluster, node) (` + left + `) < ` + seconds(t.Expired),
			Summary: "The certificate of {{ $labels.node }} ends in {{ $value | humanizeDuration }}",
			Detail:  "Without one the host neither votes nor serves.",
		},
		{
			Name: "VStackCertificateExpires", Hold: t.Soon, Severity: Warning,
			Expr:    `min by (cluster, node) (` + left + ` < ` + seconds(t.Certificate) + ` and ` + left + ` < 0.3 * (` + life + `)) > 0`,
			Summary: "The certificate of {{ $labels.node }} ends in {{ $value | humanizeDuration }}",
			Detail:  "Seven tenths of its life are over: a certificate that renews itself would have done so after two thirds.",
		},
		{
			Name: "VStackBackupLate", Hold: t.Soon, Severity: Warning,
			Expr:    `time() - max by (cluster) (vstack_metastore_backup_timestamp_seconds) > ` + seconds(t.Backup),
			Summary: "The catalog was last saved {{ $value | humanizeDuration }} ago, or never",
			Detail:  "If all members' directories are lost, what came since is lost with them.",
		},
		{
			Name: "VStackPlaybackStalls", Hold: t.Soon, Severity: Warning,
			Expr: `sum by (cluster) (rate(vstack_gateway_session_stalled_seconds_total` + window(t.Window) + `)) / ` +
				`sum by (cluster) (rate(vstack_gateway_session_played_seconds_total` + window(t.Window) + `)) > 0.02`,
			Summary: "Viewers wait for {{ $value | humanizePercentage }} of the time that they watch",
			Detail:  "By players' own word, all kinds together.",
		},
	}
}
