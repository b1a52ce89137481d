"""A model, as far as a Prometheus knows: metrics, of which POST /1 and /0 change one."""

from http.server import BaseHTTPRequestHandler, HTTPServer


class Metrics(BaseHTTPRequestHandler):
    """Every path tells the same."""

    broken = 0

    def do_POST(self) -> None:
        Metrics.broken = int(self.path[1:])
        self.do_GET()

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        told = f'answers_total{{version="7"}} 42\nbroken {Metrics.broken}\n'
        self.wfile.write(told.encode())


HTTPServer(("", 8080), Metrics).serve_forever()
