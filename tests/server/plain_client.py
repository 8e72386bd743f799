import asyncio, json, sys, array, websockets

async def main(url, path):
    samples = array.array("f", open(path, "rb").read())
    async with websockets.connect(url) as ws:
        async def send():
            for i in range(0, len(samples), 4096):
                await ws.send(samples[i : i + 4096].tobytes())
                await asyncio.sleep(0.01)
        task = asyncio.create_task(send())
        async for message in ws:
            print(json.loads(message).get("text", ""), flush=True)
        await task

asyncio.run(main(sys.argv[1], sys.argv[2]))
