package io.groupreduce.models.onnx;

import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import io.groupreduce.format.Logits;
import io.groupreduce.format.Model;
import java.util.List;

/**
 * Where a graph uses a vocabulary matrix A. Nodes that make {@code output} of {@code input} in another way can stand in place of {@code
 * nodes}: none of those makes anything that others use. A matrix has several places where it is tied, or used twice.
 *
 * @param tensor the initializer that stores A, or its codes
 * @param rows N, the tokens
 * @param columns D
 * @param role what A does here
 * @param transposed whether it is stored as [D, N]
 * @param input what goes in: token ids, int32 or int64, of any shape; or hidden states [..., D]
 * @param output what comes out: vectors [..., D]; or {@code factor * (A h) + bias} [..., N]. Never one of the graph's own inputs
 * @param type of {@code output}
 * @param nodes in the order of the graph
 * @param bias the initializer of N numbers that is added within {@code nodes}; {@code null} for none
 * @param factor what {@code A h} is multiplied by within {@code nodes}
 * @param logits how the model's logits come of A h, with all that follows {@code output}
 * @param quantised how A is stored if not as plain floats, to follow "is stored"; {@code null} for F32, F16 and BF16
 * @param elsewhere what else the initializer serves, and which no place tells, as the operator of one node; {@code null} for nothing
 * @param taken whether it is taken for the vocabulary's
 * @param why what told that, or what speaks against it: words to go after "it"
 */
public record Place(
        String tensor,
        long rows,
        long columns,
        Model.Role role,
        boolean transposed,
        String input,
        String output,
        TensorProto.DataType type,
        List<NodeProto> nodes,
        String bias,
        double factor,
        Logits logits,
        String quantised,
        String elsewhere,
        boolean taken,
        String why) {
    public Place {
        nodes = List.copyOf(nodes);
    }

    Place judged(boolean isTaken, String reason) {
        return with(elsewhere, isTaken, reason);
    }

    Place elsewhere(String operator) {
        return with(operator, taken, why);
    }

    private Place with(String operator, boolean isTaken, String reason) {
        return new Place(
                tensor,
                rows,
                columns,
                role,
                transposed,
                input,
                output,
                type,
                nodes,
                bias,
                factor,
                logits,
                quantised,
                operator,
                isTaken,
                reason);
    }
}
