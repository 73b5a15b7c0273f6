package fmp4

import "io"

// Source is a track as it is read: a Reader, or what stands between it and the cutter.
type Source interface {
	Init() (*Init, error)
	Next() (Fragment, error)
}

// WithoutLast leaves out the last frame of a track, which a recording that broke off cut
// in half.
type WithoutLast struct {
	src  Source
	held *Fragment
	err  error
}

// NewWithoutLast makes a WithoutLast that reads src.
func NewWithoutLast(src Source) *WithoutLast { return &WithoutLast{src: src} }

// Init is Reader.Init.
func (w *WithoutLast) Init() (*Init, error) { return w.src.Init() }

// Next is Reader.Next.
func (w *WithoutLast) Next() (Fragment, error) {
	if w.err != nil {
		return Fragment{}, w.err
	}
	for {
		next, err := w.src.Next()
		switch {
		case err == io.EOF && w.held != nil:
			w.err = io.EOF
			return w.last()
		case err != nil:
			w.err = err
			return Fragment{}, err
		}
		next.Data = append([]byte(nil), next.Data...)
		out := w.held
		w.held = &next
		if out != nil {
			return *out, nil
		}
	}
}

// last is the held fragment without its last frame.
func (w *WithoutLast) last() (Fragment, error) {
	in, err := w.src.Init()
	if err != nil {
		return Fragment{}, err
	}
	f, n := w.held, len(w.held.samples)-1
	if n < 1 || f.media == 0 {
		return Fragment{}, io.EOF
	}
	size := 0
	for _, s := range f.samples[:n] {
		size += int(s.size)
	}
	if f.media+size > len(f.Data) {
		return *f, nil
	}
	out := in.build(f.decode, f.samples[:n], f.Data[f.media:f.media+size])
	out.Start = f.Start
	return out, nil
}
