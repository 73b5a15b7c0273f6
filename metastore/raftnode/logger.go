package raftnode

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/vstack/vstack/metastore/raftnode/repeats"
)

// logger gives the library's lines to slog. What it does not override is discarded.
type logger struct {
	hclog.Logger
	to   *slog.Logger
	said *repeats.Filter
}

func newLogger(l *slog.Logger) hclog.Logger {
	return &logger{Logger: hclog.NewNullLogger(), to: l.With("component", "raft"), said: &repeats.Filter{}}
}

func (l *logger) Log(level hclog.Level, msg string, args ...any) {
	to := slog.LevelDebug
	switch {
	case level >= hclog.Error:
		to = slog.LevelWarn // an error of a connection; what is fatal goes to Fatal
	case level >= hclog.Warn:
		to = slog.LevelInfo
	}
	if to > slog.LevelDebug { // what is left out is there for who looks closer
		write, left := l.said.Pass(msg, args, time.Now())
		if !write {
			to = slog.LevelDebug
		} else if left > 0 {
			args = append(slices.Clone(args), "left_out_since", left)
		}
	}
	l.to.Log(context.Background(), to, msg, args...)
}

func (l *logger) Debug(msg string, args ...any)  { l.Log(hclog.Debug, msg, args...) }
func (l *logger) Info(msg string, args ...any)   { l.Log(hclog.Info, msg, args...) }
func (l *logger) Warn(msg string, args ...any)   { l.Log(hclog.Warn, msg, args...) }
func (l *logger) Error(msg string, args ...any)  { l.Log(hclog.Error, msg, args...) }
func (l *logger) With(args ...any) hclog.Logger  { return &logger{l.Logger, l.to.With(args...), l.said} }
func (l *logger) Named(string) hclog.Logger      { return l }
func (l *logger) ResetNamed(string) hclog.Logger { return l }
func (l *logger) IsDebug() bool                  { return l.to.Enabled(context.Background(), slog.LevelDebug) }
func (l *logger) IsInfo() bool                   { return true }
func (l *logger) IsWarn() bool                   { return true }
func (l *logger) IsError() bool                  { return true }
