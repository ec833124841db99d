"""A scripted server on a thread of its own, for cases in which more comes than a case follows."""

import threading

from .waiting import Timeout


class Answering:
    """Answers each request that comes to backend; what it has answered is forgotten. Subclasses say how."""

    def __init__(self, backend):
        self.b, self.over = backend, threading.Event()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def answer(self, request):
        raise NotImplementedError

    def _serve(self):
        while not self.over.is_set():
            try:
                request = self.b.inbox.take(lambda message: message.is_request, 0.2)
            except Timeout:
                continue
            with self.b.inbox.changed:
                self.b.inbox.seen.clear()
            self.answer(request)

    def end(self):
        self.over.set()
        self.thread.join()
