package dashboards

import "strings"

// in puts the cluster's label into a query: "name{}" and "name{a=b}" become of $cluster.
func in(expr string) string {
	return strings.ReplaceAll(strings.ReplaceAll(expr, "{}", `{cluster="$cluster"}`), "{+", `{cluster="$cluster",`)
}

func lines(title, unit, text string, q ...string) Panel {
	p := Panel{Title: title, Text: text, Unit: unit}
	for i := 0; i+1 < len(q); i += 2 {
		p.Queries = append(p.Queries, Query{in(q[i]), q[i+1]})
	}
	return p
}

func stat(title, unit, text, expr string) Panel {
	return Panel{Title: title, Text: text, Unit: unit, Stat: true, Queries: []Query{{Expr: in(expr)}}}
}

// bad colours what is at or above warn and worst.
func (p Panel) bad(warn, worst float64) Panel { p.Warn, p.Bad = &warn, &worst; return p }

// least colours what is below enough, and what is below few.
func (p Panel) least(few, enough float64) Panel {
	p.Warn, p.Bad, p.Low = &enough, &few, true
	return p
}

// All are the dashboards of a cluster.
func All() []Dashboard {
	return []Dashboard{overview(), stores(), playback(), consensus(), redundancy()}
}

func overview() Dashboard {
	return Dashboard{UID: "vstack-overview", Title: "V-Stack: overview", Text: "Is the cluster well?", Rows: []Row{
		{"Is it well?", []Panel{
			stat("Leader", Count, "Members that lead: one.", `sum(vstack_raftnode_leader{})`).least(1, 1),
			stat("Members away", Count, "Members that vote and do not answer.", `max(vstack_raftnode_voters{}) - sum(vstack_raftnode_belongs{})`).bad(1, 2),
			stat("Stores not up", Count, "By the leader's word.", `count(vstack_metastore_store_up{} == 0) or vector(0)`).bad(1, 2),
			stat("Hosts that may fail", Count, "With every video still readable.", `max(vstack_metastore_redundancy_hosts_can_fail{})`).least(1, 2),
			stat("Missing", Count, "Copies and fragments that should be and are not yet.", `sum(vstack_datanode_chunks_missing{})`).bad(1, 1000),
			stat("Damaged", Count, "Found and not healed.", `sum(vstack_datanode_chunks_corrupt{})`).bad(1, 10),
			stat("Free", Percent, "Of the space of all stores.", `sum(vstack_datanode_store_free_bytes{}) / sum(vstack_datanode_store_capacity_bytes{})`).least(0.1, 0.2),
			stat("Alerts", Count, "That fire.", `count(ALERTS{+alertname=~"VStack.*",alertstate="firing"}) or vector(0)`).bad(1, 3),
		}},
		{"What it does", []Panel{
			lines("Uploads and playbacks", Count, "", `sum(vstack_uploader_jobs_running{})`, "jobs that run", `sum(vstack_gateway_sessions_playing{})`, "playbacks"),
			lines("Bytes", Rate, "Of chunks.", `sum(rate(vstack_datanode_read_bytes_total{}[$__rate_interval]))`, "read", `sum(rate(vstack_datanode_write_bytes_total{}[$__rate_interval]))`, "written",
				`sum(rate(vstack_datanode_converge_bytes_total{}[$__rate_interval]))`, "repaired"),
			lines("Films", Count, "", `max by (kind) (vstack_catalog_objects{})`, "{{kind}}"),
		}},
		{"What people see to", []Panel{
			stat("Certificates end in", Seconds, "The first one of the hosts.", `min(vstack_identity_certificate_expiry_timestamp_seconds{}) - time()`).least(2*86400, 21*86400),
			stat("Last backup", Seconds, "How long ago the catalog was last saved.", `time() - max(vstack_metastore_backup_timestamp_seconds{})`).bad(26*3600, 72*3600),
			stat("Feature level", Count, "", `max(vstack_metastore_feature_level{})`),
			stat("Level that all programs know", Count, "Above the feature level: it may be raised.", `min(vstack_metastore_feature_level_known{})`),
			stat("Programs", Count, "Versions that run.", `count(count by (version, commit) (vstack_build_info{}))`).bad(2, 3),
			stat("Clocks", Seconds, "The largest difference to Prometheus' clock.", `max(abs(vstack_host_time_seconds{} - timestamp(vstack_host_time_seconds{})))`).bad(1, 5),
		}},
		{"Processes", []Panel{
			lines("Memory", Bytes, "Resident.", `max by (node) (process_resident_memory_bytes{+job=~"vstack-.+"})`, "{{node}}"),
			lines("Processor", Count, "Cores.", `max by (node) (rate(process_cpu_seconds_total{+job=~"vstack-.+"}[$__rate_interval]))`, "{{node}}"),
			lines("Descriptors", Count, "Open files and sockets.", `max by (node) (process_open_fds{+job=~"vstack-.+"})`, "{{node}}"),
		}},
	}}
}

func stores() Dashboard {
	const by = "{{node}} {{store}}"
	return Dashboard{UID: "vstack-stores", Title: "V-Stack: stores", Text: "What stores hold, lack and do.", Rows: []Row{
		{"Space", []Panel{
			lines("Free", Bytes, "What chunks may still take.", `vstack_datanode_store_free_bytes{}`, by),
			lines("By what it is taken", Bytes, "", `sum by (kind) (vstack_datanode_store_pieces_bytes{})`, "{{kind}}s", `sum(vstack_datanode_store_garbage_bytes{})`, "garbage"),
			lines("Pieces", Count, "", `sum by (node, store) (vstack_datanode_store_pieces{})`, by),
		}},
		{"Repair", []Panel{
			lines("Missing", Count, "", `vstack_datanode_chunks_missing{}`, by),
			lines("Made good", PerSec, "Copied, made into fragments, healed.", `sum(rate(vstack_datanode_converge_filled_total{}[$__rate_interval]))`, "copied",
				`sum(rate(vstack_datanode_converge_fragments_total{}[$__rate_interval]))`, "fragments", `sum(rate(vstack_datanode_converge_healed_total{}[$__rate_interval]))`, "healed"),
			lines("Time left", Seconds, "Of what is missing, at the rate of the last minutes.", `sum(vstack_datanode_chunks_missing{}) / (sum(rate(vstack_datanode_converge_filled_total{}[5m])) + sum(rate(vstack_datanode_converge_fragments_total{}[5m])))`, "left"),
			lines("Could not be fetched", PerSec, "And pauses for reads.", `sum by (node) (rate(vstack_datanode_converge_failures_total{}[$__rate_interval]))`, "{{node}} failed",
				`sum by (node) (rate(vstack_datanode_converge_yields_total{}[$__rate_interval]))`, "{{node}} yields"),
		}},
		{"Reads and writes", []Panel{
			lines("First byte, 99 %", Seconds, "In the store, without the network.", `histogram_quantile(0.99, sum by (le, node) (rate(vstack_datanode_read_first_byte_seconds_bucket{}[$__rate_interval])))`, "{{node}}"),
			lines("PUT, 99 %", Seconds, "To the durable vote.", `histogram_quantile(0.99, sum by (le, node) (rate(vstack_datanode_put_seconds_bucket{}[$__rate_interval])))`, "{{node}}"),
			lines("Reads", PerSec, "", `sum by (node) (rate(vstack_datanode_reads_total{}[$__rate_interval]))`, "{{node}}"),
			lines("Errors", PerSec, "By code.", `sum by (code) (rate(vstack_datanode_read_errors_total{}[$__rate_interval]))`, "{{code}}"),
		}},
		{"Damage", []Panel{
			lines("Damaged", Count, "Found and not healed.", `vstack_datanode_chunks_corrupt{}`, by),
			lines("Checksums that failed", PerSec, "", `sum by (node, store) (rate(vstack_superblock_crc_failures_total{}[$__rate_interval]))`, by),
			lines("Age of the last scrub", Seconds, "", `time() - vstack_datanode_scrub_passed_timestamp_seconds{}`, by),
		}},
	}}
}

func playback() Dashboard {
	return Dashboard{UID: "vstack-playback", Title: "V-Stack: playback", Text: "How viewers fare, and the links that they depend on.", Rows: []Row{
		{"Viewers", []Panel{
			stat("Playing", Count, "", `sum(vstack_gateway_sessions_playing{})`),
			stat("Waiting", Percent, "Share of the time played for which pictures stood still, last 5 min.", `sum(rate(vstack_gateway_session_stalled_seconds_total{}[5m])) / sum(rate(vstack_gateway_session_played_seconds_total{}[5m]))`).bad(0.005, 0.02),
			stat("First picture, 95 %", Seconds, "Last 5 min.", `histogram_quantile(0.95, sum by (le) (rate(vstack_gateway_session_startup_seconds_bucket{}[5m])))`).bad(1, 3),
			stat("Failed", PerSec, "Playbacks that said that they failed, last 5 min.", `sum(rate(vstack_gateway_sessions_ended_total{+state="failed"}[5m])) or vector(0)`).bad(0.01, 0.1),
		}},
		{"Playbacks", []Panel{
			lines("Begun", PerSec, "", `sum by (kind) (rate(vstack_gateway_sessions_total{}[$__rate_interval]))`, "{{kind}}"),
			lines("Stalls", PerSec, "", `sum by (kind) (rate(vstack_gateway_session_stalls_total{}[$__rate_interval]))`, "{{kind}}"),
			lines("First picture", Seconds, "", `histogram_quantile(0.5, sum by (le) (rate(vstack_gateway_session_startup_seconds_bucket{}[$__rate_interval])))`, "half",
				`histogram_quantile(0.95, sum by (le) (rate(vstack_gateway_session_startup_seconds_bucket{}[$__rate_interval])))`, "95 %"),
		}},
		{"Gateways", []Panel{
			lines("To viewers", Rate, "", `sum by (node) (rate(vstack_gateway_viewers_sent_bytes_total{}[$__rate_interval]))`, "{{node}}"),
			lines("Where chunks come from", PerSec, "", `sum by (from) (rate(vstack_gateway_chunk_reads_total{}[$__rate_interval]))`, "{{from}}"),
			lines("Chunk from stores, 99 %", Seconds, "", `histogram_quantile(0.99, sum by (le, node) (rate(vstack_gateway_chunk_fetch_seconds_bucket{}[$__rate_interval])))`, "{{node}}"),
			lines("Refused, cut, reset", PerSec, "", `sum(rate(vstack_gateway_requests_refused_total{}[$__rate_interval]))`, "refused", `sum(rate(vstack_gateway_viewers_cut_total{}[$__rate_interval]))`, "cut",
				`sum(rate(vstack_gateway_bodies_reset_total{}[$__rate_interval]))`, "reset"),
		}},
		{"Links to stores, as gateways see them", []Panel{
			lines("Round trip", Seconds, "", `vstack_quicclient_link_rtt_seconds{+job="vstack-gateway"}`, "{{node}} → {{host}} {{store}}"),
			lines("Loss", Percent, "", `vstack_quicclient_link_loss_ratio{+job="vstack-gateway"}`, "{{node}} → {{host}} {{store}}"),
			lines("Goodput", Rate, "", `vstack_quicclient_link_goodput_bytes{+job="vstack-gateway"}`, "{{node}} → {{host}} {{store}}"),
			lines("Hedges and lost attempts", PerSec, "", `sum(rate(vstack_quicclient_hedges_total{+job="vstack-gateway"}[$__rate_interval]))`, "hedges",
				`sum by (result) (rate(vstack_quicclient_attempts_total{+job="vstack-gateway",result!="ok"}[$__rate_interval]))`, "{{result}}"),
		}},
	}}
}

func consensus() Dashboard {
	return Dashboard{UID: "vstack-consensus", Title: "V-Stack: consensus", Text: "Raft for the catalog, ChunkPaxos for chunks.", Rows: []Row{
		{"Raft", []Panel{
			lines("Leads", Count, "1 for the member that leads.", `vstack_raftnode_leader{}`, "{{node}}"),
			lines("Term", Count, "Grows with each election.", `max(vstack_raftnode_term{})`, "term"),
			lines("Last contact", Seconds, "Since a member heard the leader.", `vstack_raftnode_last_contact_seconds{}`, "{{node}}"),
			lines("Behind", Count, "Entries committed by the leader and not applied here.", `scalar(max(vstack_raftnode_commit_index{})) - vstack_catalog_applied_index{}`, "{{node}}"),
		}},
		{"The log", []Panel{
			lines("Last write", Seconds, "Time that the last write of the log took.", `vstack_raftnode_disk_write_seconds{}`, "{{node}}"),
			lines("Slow", Percent, "Share of the last 10 s with a write of more than 100 ms under way.", `vstack_raftnode_disk_slow_ratio{}`, "{{node}}"),
			lines("Commands", PerSec, "By type.", `max by (type) (rate(vstack_catalog_commands_total{}[$__rate_interval]))`, "{{type}}"),
			lines("Wait for their commit", Count, "", `vstack_raftnode_inflight{}`, "{{node}}"),
		}},
		{"ChunkPaxos", []Panel{
			lines("Requests", PerSec, "", `sum by (kind) (rate(vstack_datanode_paxos_requests_total{}[$__rate_interval]))`, "{{kind}}"),
			lines("Refused", PerSec, "By code.", `sum by (code) (rate(vstack_datanode_paxos_refused_total{}[$__rate_interval]))`, "{{code}}"),
			lines("Chunk chosen, 99 %", Seconds, "", `histogram_quantile(0.99, sum by (le, node) (rate(vstack_uploader_commit_seconds_bucket{}[$__rate_interval])))`, "{{node}}"),
			lines("Groups by acceptors that are up", Count, "With fewer than two a group takes no write.", `max by (acceptors_up) (vstack_metastore_groups{})`, "{{acceptors_up}}"),
		}},
		{"Epochs", []Panel{
			lines("Changes", Count, "", `max(vstack_metastore_epoch_preparing_groups{})`, "prepared", `max(vstack_metastore_epoch_held_groups{})`, "held", `max(vstack_metastore_epoch_waiting_groups{})`, "waiting", `max(vstack_metastore_balance_groups{})`, "to balance"),
			lines("Oldest attempt", Seconds, "", `max(vstack_metastore_epoch_oldest_attempt_seconds{})`, "oldest"),
			lines("A group takes no vote for, 99 %", Seconds, "", `histogram_quantile(0.99, sum by (le) (rate(vstack_datanode_epoch_change_seconds_bucket{}[$__rate_interval])))`, "99 %"),
			lines("Barred", Count, "Groups in which a store does not vote.", `vstack_datanode_paxos_barred_groups{}`, "{{node}} {{store}}"),
		}},
	}}
}

func redundancy() Dashboard {
	return Dashboard{UID: "vstack-redundancy", Title: "V-Stack: redundancy", Text: "How films lie, and what may fail.", Rows: []Row{
		{"What may fail", []Panel{
			stat("Hosts", Count, "", `max(vstack_metastore_redundancy_hosts_can_fail{})`).least(1, 2),
			stat("Stores", Count, "", `max(vstack_metastore_redundancy_stores_can_fail{})`).least(1, 2),
			stat("Below what is wanted", Count, "Videos.", `max(vstack_metastore_redundancy_below_videos{})`).bad(1, 100),
			stat("Not known to be readable", Count, "Videos.", `max(vstack_metastore_redundancy_unproven_videos{})`).bad(1, 1),
			stat("Moves are paused", Count, "", `max(vstack_metastore_redundancy_paused{})`).bad(1, 2),
		}},
		{"Classes", []Panel{
			lines("Videos", Count, "", `max by (class) (vstack_metastore_redundancy_videos{})`, "{{class}}"),
			lines("Bytes", Bytes, "Of one copy.", `max by (class) (vstack_metastore_redundancy_bytes{})`, "{{class}}"),
			lines("Space for each byte", Count, "Bytes on disks for each byte of film.", `sum(vstack_datanode_store_pieces_bytes{}) / sum(max by (class) (vstack_metastore_redundancy_bytes{}))`, "factor"),
		}},
		{"Moves", []Panel{
			lines("On their way", Count, "", `max(vstack_metastore_class_moving_videos{})`, "moving", `max(vstack_metastore_class_held_videos{})`, "waiting"),
			lines("Longest", Seconds, "For how long the oldest has been on its way.", `max(vstack_metastore_class_oldest_move_seconds{})`, "longest"),
			lines("Steps", PerSec, "", `sum by (to) (rate(vstack_metastore_class_steps_total{}[$__rate_interval]))`, "{{to}}"),
			lines("Decoded reads", PerSec, "Chunks that were made of fragments for readers.", `sum(rate(vstack_datanode_decoded_total{}[$__rate_interval]))`, "made", `sum(rate(vstack_datanode_decoded_cached_total{}[$__rate_interval]))`, "again"),
		}},
		{"Is the catalog's word kept?", []Panel{
			lines("Behind", Count, "Entries by which the group that is furthest behind lacks something.", `max(vstack_metastore_whole_lag_entries{})`, "behind"),
			lines("Groups with a target that is not heard", Count, "Nothing is dropped in these.", `max(vstack_metastore_unheard_groups{})`, "groups"),
			lines("Waits to be dropped", Count, "", `sum by (node) (vstack_datanode_chunks_waiting{})`, "{{node}}"),
		}},
	}}
}
