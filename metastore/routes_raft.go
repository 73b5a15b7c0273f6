package metastore

import (
	"net/http"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/backup"
	"github.com/vstack/vstack/metastore/params"
)

func raftRoutes() []route {
	notFound := vstack.ErrNotFound
	return []route{
		get("/v1/raft/status", "Get the cluster as this member sees it", anywhere, wire.HeedsNothing, nil, wire.RaftStatus{}, nil, (*Server).raftStatus),
		get("/v1/raft/self", "Get this member's own Raft state", anywhere, wire.HeedsNothing, nil, wire.RaftPeer{}, nil, (*Server).raftSelf),
		get("/v1/raft/members", "List the members that this one knows", anywhere, wire.HeedsNothing, nil, wire.RaftMembers{}, nil, (*Server).listMembers),
		{wire.Route{Method: http.MethodGet, Path: "/v1/raft/level", Summary: "Get the feature level, and who knows which", Heeds: wire.HeedsNothing, Response: wire.LevelReport{},
			Errors: params.ReadErrors()}, leader, 0, (*Server).getLevel, false},
		{wire.Route{Method: http.MethodPost, Path: "/v1/raft/level", Summary: "Raise the feature level, for good", Roles: vstack.RoleAdmin, Params: params.RequestID(),
			Request: wire.RaiseLevelRequest{}, Response: wire.LevelReport{}, Errors: params.WriteErrors(vstack.ErrLevelTooOld)},
			leader, smallBody, (*Server).raiseLevel, false},
		write(http.MethodPost, "/v1/raft/transfer", "Hand leadership to another member", smallBody, wire.TransferRequest{}, nil,
			params.WriteErrors(notFound), (*Server).transfer),
		write(http.MethodPost, "/v1/raft/peers/{id}", "Add a member, which gets its vote once it has caught up", smallBody, wire.AddPeerRequest{}, wire.RaftPeer{},
			params.WriteErrors(vstack.ErrAlreadyExists, vstack.ErrLevelTooOld), (*Server).addPeer),
		{wire.Route{Method: http.MethodDelete, Path: "/v1/raft/peers/{id}", Summary: "Remove a member; a repeat is answered the same", Roles: vstack.RoleAdmin,
			Params: append(params.RequestID(), wire.Param{Name: "force", In: "query", Doc: "true: even if those that are left and answer are no majority"}),
			Errors: params.WriteErrors(vstack.ErrQuorumAtRisk)}, leader, 0, (*Server).removePeer, false},
		{wire.Route{Method: http.MethodGet, Path: "/v1/raft/snapshot", Summary: "Save the catalog as a backup", Roles: vstack.RoleAdmin,
			Params: []wire.Param{{Name: "consistency", In: "query", Doc: "default (the leader's, with every write acknowledged before) or stale (that of the member asked)"}},
			Errors: params.ReadErrors(vstack.ErrUnauthenticated, vstack.ErrForbidden)}, anywhere, 0, (*Server).saveSnapshot, false},
		{wire.Route{Method: http.MethodPut, Path: "/v1/raft/snapshot", Summary: "Restore a backup into an empty catalog; the leader only", Roles: vstack.RoleAdmin,
			Response: wire.RestoreReply{}, Errors: params.WriteErrors(vstack.ErrAlreadyExists, vstack.ErrBackupInvalid)},
			anywhere, backup.MaxSize, (*Server).restoreSnapshot, false},
	}
}
