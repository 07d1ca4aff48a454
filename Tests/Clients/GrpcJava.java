import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.netty.NettyChannelBuilder;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.StreamObserver;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Drives an etcd endpoint with grpc-java, without generated code: a watch, thousands of calls beside it on the same
 * channel, and thousands of calls that are cancelled.
 *
 * <p>usage: GrpcJava HOST PORT CALLS. Prints one line: the watch's events, the calls answered, and those cancelled.
 */
public final class GrpcJava {
    private static final MethodDescriptor.Marshaller<byte[]> BYTES = new MethodDescriptor.Marshaller<byte[]>() {
        @Override
        public InputStream stream(byte[] value) {
            return new ByteArrayInputStream(value);
        }

        @Override
        public byte[] parse(InputStream stream) {
            try {
                return stream.readAllBytes();
            } catch (IOException e) {
                throw Status.INTERNAL.withCause(e).asRuntimeException();
            }
        }
    };

    private static MethodDescriptor<byte[], byte[]> method(MethodDescriptor.MethodType type, String name) {
        return MethodDescriptor.<byte[], byte[]>newBuilder().setType(type).setFullMethodName(name)
                .setRequestMarshaller(BYTES).setResponseMarshaller(BYTES).build();
    }

    private static void varint(ByteArrayOutputStream out, long number) {
        while (number > 127) {
            out.write((int) (number & 127 | 128));
            number >>>= 7;
        }
        out.write((int) number);
    }

    private static byte[] field(int number, byte[] content) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        varint(out, (long) number << 3 | 2);
        varint(out, content.length);
        out.writeBytes(content);
        return out.toByteArray();
    }

    private static byte[] join(byte[] a, byte[] b) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.writeBytes(a);
        out.writeBytes(b);
        return out.toByteArray();
    }

    private static int events(byte[] message) {
        int[] at = {0};
        int count = 0;
        while (at[0] < message.length) {
            long tag = read(message, at);
            if ((tag & 7) == 2) {
                long length = read(message, at);
                if (tag >> 3 == 11) count++;
                at[0] += (int) length;
            } else {
                read(message, at);
            }
        }
        return count;
    }

    private static long read(byte[] message, int[] at) {
        long value = 0;
        for (int shift = 0;; shift += 7) {
            byte b = message[at[0]++];
            value |= (long) (b & 127) << shift;
            if (b >= 0) return value;
        }
    }

    public static void main(String[] arguments) throws Exception {
        int calls = Integer.parseInt(arguments[2]);
        ManagedChannel channel = NettyChannelBuilder.forAddress(arguments[0], Integer.parseInt(arguments[1]))
                .usePlaintext().keepAliveTime(10, TimeUnit.SECONDS).build();
        MethodDescriptor<byte[], byte[]> watch =
                method(MethodDescriptor.MethodType.BIDI_STREAMING, "etcdserverpb.Watch/Watch");
        MethodDescriptor<byte[], byte[]> put = method(MethodDescriptor.MethodType.UNARY, "etcdserverpb.KV/Put");
        AtomicInteger seen = new AtomicInteger();
        CountDownLatch created = new CountDownLatch(1);
        CountDownLatch all = new CountDownLatch(1);
        StreamObserver<byte[]> requests = ClientCalls.asyncBidiStreamingCall(
                channel.newCall(watch, CallOptions.DEFAULT), new StreamObserver<byte[]>() {
                    @Override
                    public void onNext(byte[] message) {
                        created.countDown();
                        if (seen.addAndGet(events(message)) >= calls) all.countDown();
                    }

                    @Override
                    public void onError(Throwable error) {
                        System.out.println("watch failed: " + error);
                        created.countDown();
                        all.countDown();
                    }

                    @Override
                    public void onCompleted() {}
                });
        requests.onNext(field(1, join(field(1, "java/".getBytes()), field(2, "java0".getBytes()))));
        created.await(30, TimeUnit.SECONDS);
        Semaphore flying = new Semaphore(50);
        AtomicInteger answered = new AtomicInteger();
        for (int i = 0; i < calls; i++) {
            flying.acquire();
            byte[] request = join(field(1, ("java/" + i % 100).getBytes()), field(2, new byte[200]));
            ClientCalls.asyncUnaryCall(channel.newCall(put, CallOptions.DEFAULT), request,
                    new StreamObserver<byte[]>() {
                        @Override
                        public void onNext(byte[] message) {
                            answered.incrementAndGet();
                        }

                        @Override
                        public void onError(Throwable error) {
                            System.out.println("put failed: " + error);
                            flying.release();
                        }

                        @Override
                        public void onCompleted() {
                            flying.release();
                        }
                    });
        }
        flying.acquire(50);
        int cancelled = 0;
        for (int i = 0; i < calls / 4; i++) {
            CountDownLatch first = new CountDownLatch(1);
            ClientCall<byte[], byte[]> doomed = channel.newCall(watch, CallOptions.DEFAULT);
            doomed.start(new ClientCall.Listener<byte[]>() {
                @Override
                public void onMessage(byte[] message) {
                    first.countDown();
                }
            }, new Metadata());
            doomed.request(1);
            doomed.sendMessage(field(1, field(1, ("other/" + i).getBytes())));
            if (first.await(30, TimeUnit.SECONDS)) cancelled++;
            doomed.cancel("enough", null);
        }
        all.await(30, TimeUnit.SECONDS);
        System.out.println("events " + seen + " answered " + answered + " cancelled " + cancelled);
        System.exit(0);
    }
}
