import io.tus.java.client.ProtocolException;
import io.tus.java.client.TusClient;
import io.tus.java.client.TusExecutor;
import io.tus.java.client.TusURLMemoryStore;
import io.tus.java.client.TusUpload;
import io.tus.java.client.TusUploader;
import java.io.File;
import java.io.IOException;
import java.net.URL;
import java.util.Arrays;
import java.util.Map;

/** Uploads a file by tus-java-client: ENDPOINT FILE NAME REQUEST_BYTES RETRIES, with the token on standard input. */
public final class Upload {
    private static final int PAUSE_MS = 1_000;

    public static void main(String[] arguments) throws Exception {
        String token = new String(System.in.readAllBytes());
        int requestBytes = Integer.parseInt(arguments[3]);
        TusClient client = new TusClient();
        client.setUploadCreationURL(new URL(arguments[0]));
        client.setHeaders(Map.of("Authorization", "Bearer " + token));
        client.enableResuming(new TusURLMemoryStore());
        TusUpload upload = new TusUpload(new File(arguments[1]));
        upload.setMetadata(Map.of("filename", arguments[2]));
        int[] delays = new int[Integer.parseInt(arguments[4])];
        Arrays.fill(delays, PAUSE_MS);
        TusExecutor executor = new TusExecutor() {
            @Override
            protected void makeAttempt() throws ProtocolException, IOException {
                TusUploader uploader = client.resumeOrCreateUpload(upload);
                uploader.setRequestPayloadSize(requestBytes);
                while (uploader.uploadChunk() > -1) {
                    // uploadChunk sends the next bytes.
                }
                uploader.finish();
            }
        };
        executor.setDelays(delays);
        executor.makeAttempts();
    }
}
