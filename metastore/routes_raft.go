package metastore

import (
	"net/http"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

func raftRoutes() []route {
	notFound := vstack.ErrNotFound
	return []route{
		get("/v1/raft/status", "Get the cluster as this member sees it", anywhere, nil, wire.RaftStatus{}, nil, (*Server).raftStatus),
		get("/v1/raft/self", "Get this member's own Raft state", anywhere, nil, wire.RaftPeer{}, nil, (*Server).raftSelf),
		get("/v1/raft/members", "List the members that this one knows", anywhere, nil, wire.RaftMembers{}, nil, (*Server).listMembers),
		write(http.MethodPost, "/v1/raft/transfer", "Hand leadership to another member", smallBody, wire.TransferRequest{}, nil,
			writeErrors(notFound), (*Server).transfer),
		write(http.MethodPost, "/v1/raft/peers/{id}", "Add a member, which gets its vote once it has caught up", smallBody, wire.AddPeerRequest{}, wire.RaftPeer{},
			writeErrors(vstack.ErrAlreadyExists), (*Server).addPeer),
		{wire.Route{Method: http.MethodDelete, Path: "/v1/raft/peers/{id}", Summary: "Remove a member; a repeat is answered the same", Mutual: true,
			Params: append(requestID(), wire.Param{Name: "force", In: "query", Doc: "true: even if those that are left and answer are no majority"}),
			Errors: writeErrors(vstack.ErrQuorumAtRisk)}, leader, 0, nil, (*Server).removePeer},
	}
}
