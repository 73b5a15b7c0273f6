// Package held is what a member tells of placement groups without a majority of acceptors,
// which take no writes until their stores return or somebody gives their votes up.
//
// Only the leader knows of them, since it hears the stores. The others ask it now and then, so
// that whoever watches any member sees that something stands still.
package held
