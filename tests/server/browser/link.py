"""A network in front of a server, which can be cut or stand still."""

import socket
import threading


class Link:
    """Connections to `address` lead to the server."""

    def __init__(self, host, port):
        self._server = (host, int(port))
        self._open = set()
        self._flows = threading.Event()
        self._is_cut = False
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        # Connections inherit it: what stands still holds little.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        self._flows.set()
        self.address = "{}:{}".format(*self._listener.getsockname())
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self):
        """Breaks all connections off, and lets nobody connect."""
        with self._lock:
            self._is_cut = True
            for end in self._open:
                self._close(end)

    def freeze(self):
        """Nothing gets through any more, and nobody is told."""
        self._flows.clear()

    def mend(self):
        self._is_cut = False
        self._flows.set()

    def _accept(self):
        while True:
            client, _ = self._listener.accept()
            threading.Thread(target=self._connect, args=[client], daemon=True).start()

    def _connect(self, client):
        self._flows.wait()
        with self._lock:
            if self._is_cut:
                return client.close()
            server = socket.create_connection(self._server)
            self._open |= {client, server}
        for ends in ((client, server), (server, client)):
            threading.Thread(target=self._carry, args=ends, daemon=True).start()

    def _carry(self, source, sink):
        try:
            while data := source.recv(4096):
                self._flows.wait()
                sink.sendall(data)
        except OSError:
            pass
        with self._lock:
            for end in (source, sink):
                self._close(end)

    def _close(self, end):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
