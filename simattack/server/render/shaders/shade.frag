// Ambient light that a body keeps from the ground below it; multiplied onto the coded colour.
in float v_alpha;
layout(location = 0) out vec4 out_color;

void main() {
    out_color = vec4(0.0, 0.0, 0.0, v_alpha * clearness(1.0 / gl_FragCoord.w));
}
