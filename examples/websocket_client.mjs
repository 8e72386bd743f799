// Sends raw audio from standard input (mono, 16 kHz, 32-bit floats) to pipeline-server and prints what comes back.
// Node.js 22 or newer has the same WebSocket as browsers, so that nothing has to be installed.

const socket = new WebSocket(process.argv[2] ?? "ws://127.0.0.1:8765/ws/transcribe");

socket.onopen = async () => {
    let rest = Buffer.alloc(0);
    for await (const chunk of process.stdin) {
        const audio = Buffer.concat([rest, chunk]);
        const whole = audio.length - (audio.length % 4); // a message holds whole samples
        for (let at = 0; at < whole; at += 65536) {
            socket.send(audio.subarray(at, Math.min(at + 65536, whole)));
        }
        rest = audio.subarray(whole);
    }
    socket.send(JSON.stringify({ type: "close" }));
};

socket.onmessage = ({ data }) => {
    const event = JSON.parse(data);
    if (event.type === "partial") console.log("...", event.text);
    if (event.type === "final") console.log(">", event.text);
    if (event.type === "error") console.error(event.problem.detail);
};

socket.onerror = () => {
    console.error("no connection to pipeline-server: is it running?");
    process.exitCode = 1;
};
